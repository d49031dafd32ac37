"""The routes that answer questions and take orders in, one file a subject, with their bodies."""
