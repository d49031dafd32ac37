"""What was seen on the chain: heads, settler events, batches that others planned."""
