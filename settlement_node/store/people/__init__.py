"""What is kept of people's and programs' requests."""
