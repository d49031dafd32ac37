"""What `config check` looks at: the file, the keys, the database, every endpoint, every fund.

Each look is independent: what cannot be looked at because something before it is wrong is left
out, and everything else is still said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from settlement_node.api.keys import KeyRing
from settlement_node.assembly import build_client, build_signer, build_store
from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.base import Signer
from settlement_node.chain.views import SettlerView
from settlement_node.cli.findings import Finding, note, right, wrong
from settlement_node.cli.token_trials import holders_to_try, try_fund
from settlement_node.config.faults import ConfigurationInvalid
from settlement_node.config.loading import load_settings
from settlement_node.config.sections import Settings
from settlement_node.domain.engine.finality import FinalityMode, behind_final
from settlement_node.domain.price_band import PriceBand
from settlement_node.errors import InvalidInput, SettlementError
from settlement_node.store.book.funds import list_funds
from settlement_node.store.chain_memory.chain_book import highest_final
from settlement_node.store.database import Store
from settlement_node.store.engine.leases import lane_key
from settlement_node.store.migrate import pending
from settlement_node.store.rows import FundRow
from settlement_node.units import Address, format_units


def check_everything(path: Path, environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Every finding, as it is found."""
    environment = os.environ if environment is None else environment
    try:
        settings = load_settings(path, environment)
    except ConfigurationInvalid as error:
        for fault in error.faults:
            yield wrong(str(path), str(fault))
        return
    yield right(str(path), "is readable and every key in it is known")
    yield from _api(settings, environment)
    signers: dict[tuple[int, Address], Signer] = {}
    yield from _signers(settings, environment, signers)
    clients: dict[int, ChainClient] = {}
    yield from _chains(settings, clients)
    store = None
    try:
        store = build_store(settings)
        due = pending(store.engine)
    except SettlementError as error:
        yield wrong("database", error.message)
        return
    if due:
        yield wrong("database", "answers, and needs: settlement-node db upgrade")
        return
    yield right("database", f"{store.engine.dialect.name} answers and has this version's schema")
    yield from _funds(settings, store, clients, signers)


def _api(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    api = settings.api
    try:
        keys = KeyRing(api.api_keys, environment)
    except InvalidInput as error:
        yield wrong("api", error.message)
        return
    if keys:
        names = ", ".join(key.name for key in api.api_keys)
        yield right("api", f"these keys may write: {names}")
    else:
        yield note("api", "no API key is configured, so nothing can be written")
    who = "with a key" if api.reads_need_key else "without a key"
    if api.on_loopback:
        yield right("api", f"listens at {api.host}:{api.port}, for this machine only, {who}")
    else:
        yield note("api", f"listens at {api.host}:{api.port}; put TLS in front of it")


def _signers(
    settings: Settings,
    environment: Mapping[str, str],
    signers: dict[tuple[int, Address], Signer],
) -> Iterator[Finding]:
    if not settings.signers:
        yield note("signers", "none is configured, so this node settles nothing")
    for place, entry in enumerate(settings.signers):
        about = f"signers[{place}]"
        try:
            signer = build_signer(entry, environment, must_answer=True)
        except SettlementError as error:
            yield wrong(about, error.message)
            continue
        key = (entry.chain_id, signer.address)
        if key in signers:
            yield wrong(about, f"{signer.address} on chain {entry.chain_id} is there twice")
            continue
        signers[key] = signer
        yield right(about, f"opens as {signer.address} for chain {entry.chain_id}")


def _chains(settings: Settings, clients: dict[int, ChainClient]) -> Iterator[Finding]:
    if not settings.chains:
        yield note("chains", "none is configured; add a [[chains]] table")
    for place, chain in enumerate(settings.chains):
        good = 0
        for number, endpoint in enumerate(chain.endpoints):
            about = f"chains[{place}].endpoints[{number}] ({endpoint.name})"
            alone = chain.model_copy(update={"endpoints": [endpoint], "agreement_endpoints": 1})
            try:
                build_client(alone, settings).check_chain_id()
            except SettlementError as error:
                answered = error.details.get("answered_chain_id")
                yield wrong(
                    about,
                    error.message
                    if answered is None
                    else f"is on chain {answered}, and chains[{place}].chain_id is"
                    f" {chain.chain_id}; change the one that is wrong",
                )
            else:
                good += 1
                yield right(about, f"answers, on chain {chain.chain_id}")
        advice = _agreement_advice(len(chain.endpoints), chain.agreement_endpoints)
        if advice is not None:
            yield note(f"chains[{place}]", advice)
        if (
            chain.finality.mode is FinalityMode.CONFIRMATIONS
            and chain.finality.confirmations_blocks == 0
        ):
            yield note(
                f"chains[{place}].finality", "0 confirmations: every mined block counts as final"
            )
        if good == len(chain.endpoints):
            clients[chain.chain_id] = build_client(chain, settings)


def _agreement_advice(endpoints: int, agreement: int) -> str | None:
    """What to say of so many endpoints of which so many must agree."""
    if endpoints == 1:
        return (
            "has one endpoint, which is believed in all that the contract does not bound; three"
            " endpoints of different providers, of which two must agree, are advised"
        )
    if agreement == 1:
        return (
            "has agreement_endpoints = 1, so any single endpoint is believed in all that the"
            " contract does not bound; set it to 2"
        )
    if endpoints <= agreement:
        return (
            f"has {endpoints} endpoints, and {min(endpoints, agreement)} must agree: it stands"
            " still when one is away, or when one lies and nothing proves which; add another"
            " provider"
        )
    return None


def _funds(
    settings: Settings,
    store: Store,
    clients: Mapping[int, ChainClient],
    signers: Mapping[tuple[int, Address], Signer],
) -> Iterator[Finding]:
    with store.read() as tx:
        funds = list_funds(tx)
        holders = {fund.fund_id: holders_to_try(tx, fund.fund_id) for fund in funds}
        finals = {
            fund.fund_id: highest_final(tx, lane_key(fund.chain_id, fund.lane_address))
            for fund in funds
        }
    if not funds:
        yield note("funds", "the book has none; add one with: settlement-node fund add FILE")
    configured = {chain.chain_id for chain in settings.chains}
    for fund in funds:
        about = f"fund {fund.fund_id}"
        if fund.chain_id not in configured:
            yield wrong(about, f"is on chain {fund.chain_id}, which is not configured")
            continue
        if (fund.chain_id, fund.lane_address) in signers:
            yield right(about, f"its lane {fund.lane_address} has its signer here")
        else:
            yield wrong(
                about, f"no signer is configured for its lane {fund.lane_address}; add [[signers]]"
            )
        client = clients.get(fund.chain_id)
        if client is not None:
            try:
                yield from _younger_chain(about, client, finals[fund.fund_id])
                yield from _fund_on_chain(about, fund, client, holders[fund.fund_id])
            except SettlementError as error:
                yield wrong(about, error.message)


def _younger_chain(about: str, client: ChainClient, final_number: int) -> Iterator[Finding]:
    """A development chain that was started anew beside a book of the one before."""
    head = client.refresh().head.number
    words = behind_final(head_number=head, known_final_number=final_number)
    if words is not None:
        yield wrong(about, words)


def _fund_on_chain(
    about: str, fund: FundRow, client: ChainClient, holders: Sequence[Address]
) -> Iterator[Finding]:
    if not client.has_code(fund.settler_address):
        yield wrong(about, f"there is no contract at its settler {fund.settler_address}")
        return
    view = client.settler_view(fund.settler_address)
    pairs = (
        ("operator", fund.lane_address, view.operator_address),
        ("share token", fund.share_token_address, view.share_token_address),
        ("payout token", fund.payout_token_address, view.payout_token_address),
        ("treasury", fund.treasury_address, view.treasury_address),
        ("burn style", fund.burn_style.value, view.burn_style.value),
    )
    differing = [(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs]
    for name, ours, theirs in differing:
        yield wrong(about, f"the settler's {name} is {theirs}; the book has {ours}")
    if not differing:
        yield right(about, f"its settler {fund.settler_address} fits the book")
    if view.paused:
        yield wrong(about, "its settler is paused; its guardian or owner can lift that")
    yield _price(about, fund, view)
    yield from try_fund(client, fund, holders)
    coins = client.native_balance(fund.lane_address)
    if coins:
        yield right(about, f"its lane has {format_units(coins, 18)} coins for gas")
    else:
        yield wrong(about, f"its lane {fund.lane_address} has no coins for gas")


def _price(about: str, fund: FundRow, view: SettlerView) -> Finding:
    """Whether the fund's price is one the settler pays."""
    band = PriceBand(view.floor_price, view.ceiling_price, fund.payout_decimals)
    terms = fund.terms()
    if terms is None:
        return note(about, f"has no NAV, so nothing is priced yet; its settler pays {band} a share")
    fault = band.fault(terms)
    return (
        right(about, f"its settler pays {band} a share") if fault is None else wrong(about, fault)
    )
