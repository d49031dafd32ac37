"""The state of the whole node on one page."""
