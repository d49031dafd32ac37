"""The settings of a process: one frozen tree from one TOML file and the environment."""
