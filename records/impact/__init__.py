"""Figures of how a position's scores and decisions fall on groups of applicants."""
