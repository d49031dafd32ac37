"""Answers for the faces: what users ask for, read from the book (and the chain) in one view.

An answer is one shape for API, console and commands alike; its class has the name that the OpenAPI
document gives it. Nothing here changes anything.
"""
