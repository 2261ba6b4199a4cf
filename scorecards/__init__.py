"""Scorecards: ratings of finished interviews in which every score rests on words that were said."""
