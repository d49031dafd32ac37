"""Everything that touches a chain: endpoints, contracts, signers.

Imports `units`, `errors` and `domain`; never the store, the node or the API. From the wire
upwards: `wire` (bytes and bounds) → `endpoints` (agreement and health) → `contracts` and `signers`
→ `client` (one chain as one client). `wire/node_errors.py` alone reads the wording of a node's
messages.
"""
