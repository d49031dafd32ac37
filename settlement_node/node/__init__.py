"""The stages: facts in, one commit, commands out. The only loop of the project."""
