"""The only SQL of the project: tables, migrations and queries, for SQLite and PostgreSQL."""
