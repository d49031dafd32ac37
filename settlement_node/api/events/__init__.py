"""The live event stream."""
