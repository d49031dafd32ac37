"""The demonstration: a real chain, a realistic book, and an audit from the chain's own logs."""
