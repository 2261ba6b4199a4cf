"""Storage in SQLite and PostgreSQL: queries, schemas, connections. No interview logic."""
