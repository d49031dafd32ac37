"""What is told: the outbox, breaks and alerts, audit facts, workers, overviews."""
