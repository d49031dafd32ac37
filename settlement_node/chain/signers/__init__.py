"""Signers: who holds the lane's key and how it signs."""

from settlement_node.chain.signers.backoff import BackoffSigner
from settlement_node.chain.signers.base import (
    Signature,
    SignedTransaction,
    Signer,
    TransactionFields,
    sign_with,
)
from settlement_node.chain.signers.kms import KmsClient, KmsSigner, open_kms_client
from settlement_node.chain.signers.local import KeySigner, KeystoreSigner, encrypt_key
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteTls, TokenSource

__all__ = [
    "BackoffSigner",
    "KeySigner",
    "KeystoreSigner",
    "KmsClient",
    "KmsSigner",
    "RemoteHttp",
    "RemoteSigner",
    "RemoteTls",
    "Signature",
    "SignedTransaction",
    "Signer",
    "TokenSource",
    "TransactionFields",
    "encrypt_key",
    "open_kms_client",
    "sign_with",
]
