"""The operators' hands over REST."""
