"""Migration scripts, each frozen once released; nothing in them is imported from the tables."""
