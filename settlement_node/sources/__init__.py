"""Where orders come from: each source yields submissions for the desk."""
