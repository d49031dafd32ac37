"""Signers: who holds the lane's key and how it signs."""

from settlement_node.chain.signers.base import (
    Signature,
    SignedTransaction,
    Signer,
    TransactionFields,
    sign_with,
)
from settlement_node.chain.signers.local import KeySigner, KeystoreSigner

__all__ = [
    "KeySigner",
    "KeystoreSigner",
    "Signature",
    "SignedTransaction",
    "Signer",
    "TransactionFields",
    "sign_with",
]
