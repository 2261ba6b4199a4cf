"""Invitations: a link for each applicant, which opens the applicant's own interview."""
