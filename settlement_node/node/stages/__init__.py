"""The stages of a pass and of the workers beside it, one file a stage."""
