"""What people and programs may do: one action, one function."""
