"""The defence catalogue: what goes wrong out there, what in the node holds against it, and the test
that fails as soon as it is taken out. `python -m tests.defences` takes each out once and looks."""
