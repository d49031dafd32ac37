"""The routes, one file a subject, each with the bodies it takes."""
