"""PostgreSQL: connections, schema, transactions; loaded only where it is used."""
