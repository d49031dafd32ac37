"""The deterministic simulator: one seed drives a chain, its endpoints, the database, the node's
crashes and the people around it; the stages that run are the real ones."""
