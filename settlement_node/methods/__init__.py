"""How a fund settles, and how its contracts come onto a chain."""
