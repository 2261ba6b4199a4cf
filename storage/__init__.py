"""What is stored, and how SQLite and PostgreSQL store it; contains no interview logic."""
