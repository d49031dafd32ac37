"""From settings to the parts of a running process: store, chain clients, signers, node context."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from settlement_node.chain.client import ChainClient, PoolPolicy
from settlement_node.chain.context import ChainContext
from settlement_node.chain.signers.backoff import BackoffSigner
from settlement_node.chain.signers.base import Signer
from settlement_node.chain.signers.kms import KmsSigner, open_kms_client
from settlement_node.chain.signers.local import KeySigner, KeystoreSigner
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, RemoteTls, TokenSource
from settlement_node.chain.wire.transport import HttpTransport
from settlement_node.config.sections import ChainSettings, Settings, SignerKind, SignerSettings
from settlement_node.errors import InvalidInput, Refused, Transient
from settlement_node.node.checkpoints import checkpoint_from_environment
from settlement_node.node.context import NodeContext
from settlement_node.node.processes import this_process
from settlement_node.node.runtime import Intervals
from settlement_node.store.database import Store, open_engine
from settlement_node.store.migrate import pending
from settlement_node.units import Address

log = structlog.get_logger(__name__)


class CommitSignal:
    """Tells everyone in this process who waits for commits: the stages and the event stream."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._turn = threading.Lock()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every commit that announced something. It must return at once."""
        with self._turn:
            self._listeners = (*self._listeners, listener)

    def __call__(self) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener()


def build_store(settings: Settings, signal: CommitSignal | None = None) -> Store:
    """The book of the settings; nothing is connected yet."""
    engine = open_engine(
        settings.database.url.get_secret_value(), pool_size=settings.database.pool_size
    )
    return Store(engine, on_commit=signal or CommitSignal())


def require_schema(store: Store) -> None:
    """Raises InvalidInput when migrations are due, Transient when the database is away."""
    due = pending(store.engine)
    if due:
        raise InvalidInput(
            f"the database needs {len(due)} migrations; run: settlement-node db upgrade",
            field="database.url",
            pending=list(due),
        )


def build_client(chain: ChainSettings, settings: Settings) -> ChainClient:
    """A client of one chain; nothing is asked yet. One client is one caller's at a time."""
    transports = []
    for place, endpoint in enumerate(chain.endpoints):
        try:
            transports.append(
                HttpTransport(
                    endpoint.url.get_secret_value(),
                    name=endpoint.name,
                    timeout_seconds=endpoint.timeout_seconds,
                )
            )
        except InvalidInput as error:
            raise InvalidInput(
                f"chain {chain.chain_id}, endpoints[{place}].url: {error.message}",
                field=f"endpoints[{place}].url",
            ) from None
    return ChainClient(
        chain.chain_id,
        transports,
        now=time.monotonic,
        policy=PoolPolicy(
            agreement=chain.agreement_endpoints, log_page_blocks=settings.engine.log_page_blocks
        ),
    )


def build_chains(settings: Settings) -> dict[int, ChainContext]:
    """Every configured chain with a client of its own and its rules."""
    return {
        chain.chain_id: ChainContext(
            client=build_client(chain, settings),
            finality=chain.finality.policy(),
            fees=chain.fees.policy(),
        )
        for chain in settings.chains
    }


def build_signer(
    signer: SignerSettings, environment: Mapping[str, str], *, must_answer: bool = False
) -> Signer:
    """Open one key. Raises InvalidInput naming the variable or file, or both addresses when the
    configured one is not the key's.

    A signer elsewhere that does not answer now is taken as it is, since its lane resumes by
    itself; with `must_answer` its Transient or Refused is raised.
    """
    opened: Signer
    match signer.kind:
        case SignerKind.KMS | SignerKind.REMOTE:
            return _elsewhere(signer, environment, must_answer=must_answer)
        case SignerKind.ENV:
            assert signer.key_env is not None
            opened = KeySigner.from_environment(signer.key_env, environment)
        case SignerKind.KEYSTORE:
            assert signer.keystore_file is not None
            opened = KeystoreSigner.from_keystore(
                signer.keystore_file,
                password_path=signer.password_file,
                password_variable=signer.password_env,
                environment=environment,
            )
    if signer.address is not None and signer.address != opened.address:
        raise InvalidInput(
            f"the key of this signer has the address {opened.address}, configured is"
            f" {signer.address}",
            field="address",
        )
    return opened


def _elsewhere(
    signer: SignerSettings, environment: Mapping[str, str], *, must_answer: bool
) -> Signer:
    """A signer whose key is not in this process, left alone for a while whenever it fails."""
    assert signer.address is not None
    opened: KmsSigner | RemoteSigner
    if signer.kind is SignerKind.KMS:
        assert signer.key_id is not None
        opened = KmsSigner(
            partial(
                open_kms_client,
                region=signer.region,
                endpoint_url=signer.endpoint_url,
                read_timeout_seconds=signer.timeout_seconds,
            ),
            key_id=signer.key_id,
            address=signer.address,
        )
    else:
        assert signer.url is not None
        has_token = signer.token_env is not None or signer.token_file is not None
        opened = RemoteSigner(
            RemoteHttp(
                signer.url.get_secret_value(),
                token=TokenSource(signer.token_env, signer.token_file, environment)
                if has_token
                else None,
                tls=RemoteTls(
                    signer.ca_file, signer.client_certificate_file, signer.client_key_file
                ),
                timeout_seconds=signer.timeout_seconds,
            ),
            address=signer.address,
            identifier=signer.identifier,
        )
    try:
        opened.check()
    except (Refused, Transient) as error:
        if must_answer:
            raise
        log.warning("signer_not_checked", signer_address=signer.address, reason=error.message)
    return BackoffSigner(opened, now=time.monotonic)


def build_signers(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> dict[tuple[int, Address], Signer]:
    """Every configured signer by chain and address; raises InvalidInput naming the entry."""
    environment = os.environ if environment is None else environment
    signers: dict[tuple[int, Address], Signer] = {}
    for place, entry in enumerate(settings.signers):
        try:
            signer = build_signer(entry, environment)
        except InvalidInput as error:
            raise InvalidInput(
                f"signers[{place}]: {error.message}", **{"field": f"signers[{place}]"}
            ) from None
        if (entry.chain_id, signer.address) in signers:
            raise InvalidInput(
                f"signers[{place}] is {signer.address} on chain {entry.chain_id} again;"
                " a lane has one signer",
                field=f"signers[{place}]",
            )
        signers[entry.chain_id, signer.address] = signer
    return signers


def new_node_id(settings: Settings) -> str:
    """A name no other process has: two nodes of one name would share a lease."""
    name = settings.engine.node_name or socket.gethostname()[:60] or "node"
    return f"{name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def build_context(
    settings: Settings,
    store: Store,
    *,
    signers: Mapping[tuple[int, Address], Signer] | None = None,
    dry_run: bool = False,
) -> NodeContext:
    """What the stages share. Without signers it can read and estimate, and settles nothing."""
    return NodeContext(
        store=store,
        chains=build_chains(settings),
        signers=dict(signers or {}),
        node_id=new_node_id(settings),
        process=this_process(),
        policy=settings.engine.policy(),
        lease_seconds=settings.engine.lease_seconds,
        rehearsals={} if dry_run else None,
        checkpoint=checkpoint_from_environment(),
    )


def build_intervals(settings: Settings) -> Intervals:
    """How often the stages run; the pass follows the chain that is polled most often."""
    engine, plain = settings.engine, Intervals()
    polls = [chain.poll_interval_seconds for chain in settings.chains]
    return Intervals(
        pass_seconds=min(polls, default=plain.pass_seconds),
        lease_seconds=min(plain.lease_seconds, engine.lease_seconds / 4),
        reconcile_seconds=engine.reconcile_interval_seconds,
        deliver_seconds=engine.deliver_interval_seconds,
        watch_seconds=engine.watch_interval_seconds,
    )
