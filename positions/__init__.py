"""Positions: what is asked of every applicant under an access key, and how they are rated."""
