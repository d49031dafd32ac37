"""The ten accounts that development chains fund. Their keys are public: never for real money."""

from __future__ import annotations

from functools import cache

from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath

MNEMONIC = "test test test test test test test test test test test junk"
"""What anvil and other development chains use by default, so one set of keys fits all of them."""
ACCOUNTS = 10


@cache
def development_keys() -> tuple[bytes, ...]:
    """The private keys, 32 bytes each, of the path m/44'/60'/0'/0/n."""
    seed = seed_from_mnemonic(MNEMONIC, "")
    return tuple(HDPath(f"m/44'/60'/0'/0/{index}").derive(seed) for index in range(ACCOUNTS))
