"""The settler and the tokens: calls, events, errors and their words."""
