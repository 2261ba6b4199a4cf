"""The service measured: against its peers, and against what nobody can beat."""
