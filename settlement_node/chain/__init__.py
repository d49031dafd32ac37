"""Everything that touches a chain: endpoints, contracts, signers, embedded and test chains.

Layer 2. Imports `units`, `errors` and `domain`; never the store, the node or the API.
The parts, from the wire upwards: `transport` (raw JSON-RPC) → `endpoint` (one endpoint, typed) →
`pool` (`ChainClient`: all endpoints of one chain, what the node uses). `node_errors` is the only
place that reads the wording of a node's error messages.
"""
