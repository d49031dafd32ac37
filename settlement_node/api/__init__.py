"""The REST surface and the event stream: `routes/`, and what carries every request."""
