"""Where book and chain differ, and looking again now."""
