"""The steps of `python -m commands import`."""
