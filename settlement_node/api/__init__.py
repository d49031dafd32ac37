"""The REST surface and the event stream. Every part has the same few files: routes, schemas."""
