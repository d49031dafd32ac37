"""Answers for the faces: figures and stories, without rules of their own."""
