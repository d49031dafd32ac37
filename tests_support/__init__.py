"""What the test suites share: databases, clocks, a filled book, and the count of what ran where."""
