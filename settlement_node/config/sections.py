"""The settings tree: frozen sections with the domain's own bounds.

Secrets are named, not written: keys and passwords stay in the environment or in files of their
own. Addresses that may carry a password are `SecretStr` and show as stars.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from settlement_node.config.fields import (
    LOOPBACK_HOSTS,
    CheckedAddress,
    HostName,
    Seconds,
    Section,
    Variable,
    as_value_error,
    plain_http_fault,
    refuse_repeats,
)
from settlement_node.domain.engine.fees import FeePolicy
from settlement_node.domain.engine.finality import FinalityMode, FinalityPolicy
from settlement_node.domain.engine.policy import EnginePolicy
from settlement_node.errors import InvalidInput

_POLICY = EnginePolicy()
_FEES = FeePolicy()


class DatabaseSettings(Section):
    """Where the book is."""

    url: SecretStr = Field(
        description="sqlite:///settlement-node.sqlite or postgresql://user:password@host/name"
    )
    pool_size: int = Field(default=5, ge=1, le=100, description="connections kept open, 1 to 100")


class ApiKey(Section):
    """One client of the API and where its key is."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description='who the key belongs to, as it appears in the audit trail, e.g. "treasury"',
    )
    key_env: Variable | None = None
    key_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="the SHA-256 of the key in lower-case hex: printf %s KEY | sha256sum",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.key_env is None) == (self.key_sha256 is None):
            raise ValueError("give either key_env or key_sha256")
        return self


class ApiSettings(Section):
    """The REST surface. Without `api_keys` every write is refused."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    port: int = Field(default=8471, ge=0, le=65_535, description="0 takes a free port")
    host_names: tuple[HostName, ...] = Field(
        default=(),
        max_length=100,
        description="further names under which requests may ask for it, such as a proxy's",
    )
    api_keys: tuple[ApiKey, ...] = ()
    reads_need_key: bool = True
    body_bytes_max: int = Field(default=2 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    idempotency_in_flight_seconds: Seconds = 60.0
    event_queue_max: int = Field(default=1_000, ge=10, le=100_000)
    event_subscribers_max: int = Field(default=200, ge=1, le=10_000)

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        refuse_repeats([key.name for key in self.api_keys], "api_keys: the name")
        return self

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> Self:
        if not self.reads_need_key and not self.on_loopback:
            raise ValueError(
                "reads_need_key may be false only while host is 127.0.0.1, ::1 or localhost:"
                f" everybody who reaches {self.host} could read the book"
            )
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        return self.host in LOOPBACK_HOSTS


class EndpointSettings(Section):
    """One JSON-RPC endpoint of a chain. `name` is what people and logs see."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description='for example "provider-a"')
    url: SecretStr = Field(description="http://127.0.0.1:8545 or https://…; it may hold a key")
    timeout_seconds: Seconds = 10.0
    allow_plain_http: bool = Field(
        default=False,
        description="let url be http:// to another machine, whose answers anybody on the way can"
        " then change; only where a tunnel or a private network guards the way",
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        fault = plain_http_fault(self.url.get_secret_value())
        if fault is not None and not self.allow_plain_http:
            raise ValueError(fault)
        return self


class FinalitySettings(Section):
    """When a block of the chain counts as final."""

    mode: FinalityMode = Field(
        default=FinalityMode.FINALIZED, description="confirmations, safe or finalized"
    )
    confirmations_blocks: int = Field(default=0, ge=0, le=10_000)

    def policy(self) -> FinalityPolicy:
        """As the domain takes it."""
        return FinalityPolicy(self.mode, self.confirmations_blocks)


class FeeSettings(Section):
    """Bounds of what is offered for gas, in wei per gas."""

    tip_floor_wei: int = _FEES.tip_floor_wei
    tip_ceiling_wei: int = _FEES.tip_ceiling_wei
    cap_ceiling_wei: int = _FEES.cap_ceiling_wei
    base_fee_headroom_bps: int = _FEES.base_fee_headroom_bps

    def policy(self) -> FeePolicy:
        """As the domain takes it; raises InvalidInput."""
        return FeePolicy(**self.model_dump())

    @model_validator(mode="after")
    def _domain_agrees(self) -> Self:
        as_value_error(self.policy)
        return self


class ChainSettings(Section):
    """A chain and how it is reached."""

    chain_id: int = Field(
        ge=1, le=2**53, description="1 is Ethereum, 11155111 Sepolia, 31337 anvil"
    )
    name: str = Field(min_length=1, max_length=64)
    endpoints: tuple[EndpointSettings, ...] = Field(
        min_length=1, max_length=16, description="add at least one [[chains.endpoints]]"
    )
    agreement_endpoints: int = Field(
        default=2,
        ge=1,
        le=16,
        description="endpoints that must say the same of a block and what is in it before money is"
        " decided by it; configure one more than this, so that one may be away",
    )
    finality: FinalitySettings = FinalitySettings()
    fees: FeeSettings = FeeSettings()
    poll_interval_seconds: Seconds = 2.0
    head_stale_seconds: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="an older head makes /readyz say no; 0 turns this off",
    )

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        refuse_repeats([endpoint.name for endpoint in self.endpoints], "endpoints: the name")
        return self


class SignerKind(StrEnum):
    """Where a signing key is kept."""

    ENV = "env"
    KEYSTORE = "keystore"
    KMS = "kms"
    REMOTE = "remote"


_SIGNER_KEYS = {
    SignerKind.ENV: (("key_env",), ()),
    SignerKind.KEYSTORE: (("keystore_file",), ("password_env", "password_file")),
    SignerKind.KMS: (("key_id", "address"), ("region", "endpoint_url")),
    SignerKind.REMOTE: (
        ("url", "address"),
        (
            "identifier",
            "token_env",
            "token_file",
            "ca_file",
            "client_certificate_file",
            "client_key_file",
        ),
    ),
}
"""What each kind needs, and what it may have besides."""
_EVERY_SIGNER_KEY = frozenset({"chain_id", "kind", "address", "timeout_seconds"})


class SignerSettings(Section):
    """A lane's key on one chain. `address` must be the key's own; where the key is elsewhere it
    must be given."""

    chain_id: int
    kind: SignerKind = Field(description="env (development), keystore, kms or remote")
    key_env: Variable | None = None
    keystore_file: Path | None = None
    password_env: Variable | None = None
    password_file: Path | None = None
    address: CheckedAddress | None = None
    key_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="kind kms: the key's id, its ARN, or alias/<name>",
    )
    region: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="kind kms: the key's AWS region; by default AWS's own settings say it",
    )
    endpoint_url: str | None = Field(
        default=None, max_length=2048, description="kind kms: a private endpoint instead of AWS's"
    )
    url: SecretStr | None = Field(
        default=None, description="kind remote: Web3Signer's base address, https://…"
    )
    identifier: str | None = Field(
        default=None,
        description="kind remote: its name of the key; by default the public key of the address",
    )
    token_env: Variable | None = Field(
        default=None, description="kind remote: the variable that holds a bearer token"
    )
    token_file: Path | None = Field(
        default=None, description="kind remote: the file that holds it, read for each request"
    )
    ca_file: Path | None = Field(
        default=None, description="kind remote: certificates its own must lead to, in PEM"
    )
    client_certificate_file: Path | None = Field(
        default=None, description="kind remote: this node's certificate, in PEM"
    )
    client_key_file: Path | None = Field(
        default=None, description="kind remote: that certificate's key, not encrypted"
    )
    timeout_seconds: float = Field(
        default=5.0, gt=0, le=30, description="kinds kms and remote: how long an answer may take"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        needed, allowed = _SIGNER_KEYS[self.kind]
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        missing = [name for name in needed if name not in given]
        if missing:
            raise ValueError(f"kind {self.kind} takes {missing[0]}, which is missing")
        foreign = sorted(given - _EVERY_SIGNER_KEY - {*needed, *allowed})
        if foreign:
            raise ValueError(f"kind {self.kind} takes no {foreign[0]}")
        if self.kind is SignerKind.KEYSTORE and (
            (self.password_env is None) == (self.password_file is None)
        ):
            raise ValueError("a keystore takes either password_env or password_file")
        if self.token_env is not None and self.token_file is not None:
            raise ValueError("a remote signer takes either token_env or token_file")
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file go together")
        return self


class EngineSettings(Section):
    """How the engine batches, waits and gives up; the first fields are the domain's policy."""

    batch_items_max: int = _POLICY.batch_items_max
    in_flight_max: int = _POLICY.in_flight_max
    unfinal_max: int = _POLICY.unfinal_max
    batch_gas_bps: int = _POLICY.batch_gas_bps
    gas_margin_bps: int = _POLICY.gas_margin_bps
    fee_history_blocks: int = _POLICY.fee_history_blocks
    fee_percentile: int = _POLICY.fee_percentile
    replace_after_blocks: int = _POLICY.replace_after_blocks
    rebroadcast_after_blocks: int = _POLICY.rebroadcast_after_blocks
    cancel_after_blocks: int = _POLICY.cancel_after_blocks
    attempts_max: int = _POLICY.attempts_max
    stranger_after_polls: int = _POLICY.stranger_after_polls
    heads_kept_blocks: int = _POLICY.heads_kept_blocks
    head_page_blocks: int = _POLICY.head_page_blocks
    log_page_blocks: int = _POLICY.log_page_blocks
    intake_batch_max: int = _POLICY.intake_batch_max
    deliver_batch_max: int = _POLICY.deliver_batch_max
    lease_seconds: Seconds = 30.0
    reconcile_interval_seconds: Seconds = 60.0
    deliver_interval_seconds: Seconds = 1.0
    watch_interval_seconds: Seconds = 15.0
    node_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,60}$",
        description="this machine's name in leases and worker health; the host name by default",
    )

    def policy(self) -> EnginePolicy:
        """As the domain takes it; raises InvalidInput."""
        return EnginePolicy(
            **{name: getattr(self, name) for name in EnginePolicy.__dataclass_fields__}
        )

    @model_validator(mode="after")
    def _domain_agrees(self) -> Self:
        as_value_error(self.policy)
        return self


class LoggingSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(Section):
    """Everything the process is told from outside. Funds live in the database, not here."""

    database: DatabaseSettings = Field(description="add a [database] table with url")
    api: ApiSettings = ApiSettings()
    chains: tuple[ChainSettings, ...] = ()
    signers: tuple[SignerSettings, ...] = ()
    engine: EngineSettings = EngineSettings()
    logging: LoggingSettings = LoggingSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        chain_ids = [chain.chain_id for chain in self.chains]
        refuse_repeats(chain_ids, "chains: the chain_id")
        for place, signer in enumerate(self.signers):
            if signer.chain_id not in chain_ids:
                raise ValueError(
                    f"signers[{place}].chain_id is {signer.chain_id}, and no [[chains]] has it"
                )
        return self

    def chain(self, chain_id: int) -> ChainSettings:
        """The chain of this id; raises InvalidInput when the file does not have it."""
        for chain in self.chains:
            if chain.chain_id == chain_id:
                return chain
        raise InvalidInput(
            f"chain {chain_id} is not in the configuration; add a [[chains]] table for it",
            field="chain_id",
        )
