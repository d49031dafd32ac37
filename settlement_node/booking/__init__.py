"""Facts of the chain written into the book, each in the commit at hand; none opens one."""
