"""SQLite: connections, schema, and the turns to write."""
