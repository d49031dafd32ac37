"""Bytes and their bounds: HTTP, JSON-RPC, words of the ABI, endpoints' errors, proofs."""
