"""The log and the metrics; imports nothing else of the service."""
