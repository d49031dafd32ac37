"""`ChainClient`: all endpoints of one chain behind one object, which is what the node uses.

Everything it says is said as of the *agreed head*, the block the last `refresh` found. State is
read at that block's hash (EIP-1898), so an endpoint that lags or is on a fork fails instead of
answering about another chain; nonces, balances and receipts of one poll therefore fit together.
And it is said by `agreement` endpoints alike, or proven against the agreed block's header: no
single endpoint is believed where several are configured (ARCHITECTURE, invariant 11). The mempool
and the fees are no part of that block: hints, and a middle over the endpoints.
Call `refresh` at the start of a poll; the first question does it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from settlement_node.chain.contracts.logs import LogReader, read_events, read_transfers
from settlement_node.chain.contracts.settler import (
    BATCH_SETTLED_TOPIC,
    GAS_TOO_LOW_SELECTOR,
    REDEMPTION_SETTLED_TOPIC,
    REDEMPTION_SKIPPED_TOPIC,
)
from settlement_node.chain.contracts.settler_reads import (
    preview_items,
    read_batch_hash,
    read_settler,
)
from settlement_node.chain.contracts.tokens import (
    TRANSFER_TOPIC,
    address_topic,
    read_token,
    read_token_decimals,
)
from settlement_node.chain.endpoints.endpoint import (
    BlockParameter,
    CallOutcome,
    CallRequest,
    CallReverted,
    Endpoint,
)
from settlement_node.chain.endpoints.endpoint_set import EndpointSet
from settlement_node.chain.endpoints.heads import HeadTracker
from settlement_node.chain.endpoints.health import HealthPolicy
from settlement_node.chain.endpoints.lookups import ReceiptLookup, find_place
from settlement_node.chain.endpoints.proving import BlockProver
from settlement_node.chain.endpoints.sending import send_to_all
from settlement_node.chain.views import (
    Disagreement,
    HeadView,
    SendAnswer,
    SettlerView,
    TokenView,
    Undecided,
)
from settlement_node.chain.wire.proofs import Account
from settlement_node.chain.wire.transport import Transport
from settlement_node.domain.engine.fees import middle_history
from settlement_node.domain.observations import (
    Block,
    EndpointHealth,
    FeeHistory,
    ItemPreview,
    Receipt,
    SettleItem,
    SettlerEvent,
    TransferEvent,
)
from settlement_node.errors import InvalidInput, Transient
from settlement_node.units import Address, Hex32, Wei

BlockTag = int | str
"""A height, or `"latest"` for the agreed head."""

_SETTLER_TOPICS = (REDEMPTION_SETTLED_TOPIC, REDEMPTION_SKIPPED_TOPIC, BATCH_SETTLED_TOPIC)


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How endpoints are judged and how much is asked of them at once."""

    agreement: int = 2
    """Endpoints that must say the same of a block and of what is in it; capped by how many are
    configured."""
    backward_tolerance_seconds: float = 30.0
    """How long a head that falls back without a visible fork is taken for a lag."""
    log_page_blocks: int = 2_000
    preview_gas_limit: int = 30_000_000
    """Most clients bound `eth_call` at 50 million; a larger batch is previewed in parts."""
    health: HealthPolicy = field(default_factory=HealthPolicy)


class ChainClient:
    """One chain. Raises Transient whenever too few endpoints could answer."""

    def __init__(
        self,
        chain_id: int,
        transports: Sequence[Transport],
        *,
        now: Callable[[], float],
        policy: PoolPolicy | None = None,
    ) -> None:
        """`now` gives monotonic seconds and is only used for health and tolerance."""
        policy = policy or PoolPolicy()
        self.chain_id = chain_id
        self._policy = policy
        self._endpoints = EndpointSet(
            transports, now=now, policy=policy.health, agreement=policy.agreement
        )
        self._heads = HeadTracker(
            self._endpoints,
            chain_id=chain_id,
            stale_blocks=policy.health.stale_blocks,
            backward_tolerance_seconds=policy.backward_tolerance_seconds,
        )
        self._prover = BlockProver(self._endpoints)
        self._receipts = ReceiptLookup(self._endpoints, self._heads, self._prover)
        self._logs = LogReader(
            self._endpoints, self._heads, self._prover, page_blocks=policy.log_page_blocks
        )

    def check_chain_id(self) -> None:
        """Ask every endpoint for its chain id, at start-up.

        Raises InvalidInput naming the endpoint and both ids when one differs, Transient when an
        endpoint does not answer and none differs.
        """
        silent: list[str] = []
        for endpoint in self._endpoints.endpoints:
            try:
                answer = self._endpoints.poll(endpoint, Endpoint.chain_id)
            except Transient as error:
                silent.append(error.message)
                continue
            self._endpoints.stands(answer)
            answered = answer.content
            if answered != self.chain_id:
                raise InvalidInput(
                    f"endpoint {endpoint.name} is on chain {answered}, configured is"
                    f" {self.chain_id}",
                    endpoint=endpoint.name,
                    chain_id=self.chain_id,
                    answered_chain_id=answered,
                )
        if silent:
            raise Transient("; ".join(silent))

    # What the chain is

    def refresh(self) -> HeadView:
        """Poll the heads of all endpoints and agree on one; updates health.

        Never goes back without a visible reorganisation, except after the tolerance has passed.
        """
        return self._heads.refresh()

    def blocks(self, numbers: Sequence[int]) -> dict[int, Block]:
        """Agreed headers by height. A height above the agreed head is left out: not there."""
        return self._heads.canonical(numbers)

    def fee_history(self, *, block_count: int, percentile: float) -> FeeHistory:
        """Base fees and tips of the last `block_count` blocks up to the agreed head.

        `percentile` (0 to 100) picks the tip within each block, weighted by gas. It is the middle
        of what all endpoints give, of two the lower: see `middle_history`. Transient when fewer
        answer than must agree.
        """
        head, endpoints = self._heads.view.head, self._endpoints
        histories: list[FeeHistory] = []
        for answer in endpoints.answers(
            lambda item: item.fee_history(
                block_count=block_count, newest_number=head.number, percentile=percentile
            )
        ):
            endpoints.stands(answer)
            histories.append(answer.content)
            if len(histories) >= len(endpoints.in_order()):
                break
        if len(histories) < endpoints.agreement:
            raise Transient(
                f"{len(histories)} endpoints gave a fee history, {endpoints.agreement} must"
            )
        return middle_history(histories, head_base_fee_wei=head.base_fee_per_gas_wei)

    def health(self) -> list[EndpointHealth]:
        """Every endpoint's health, in configured order."""
        return self._endpoints.health()

    def disagreements(self) -> list[Disagreement]:
        """What the endpoints answer differently now, and nothing decides."""
        return self._endpoints.disagreements()

    # Transactions

    def send_raw(self, raw: bytes) -> SendAnswer:
        """Send to every healthy endpoint, each once. Never raises, never retries.

        Already known counts as accepted. Rejected only when all answered, all rejected, and every
        wording is understood; `NONCE_TOO_LOW` among them asks for a lookup, since the transaction
        may be mined. Unanswered leaves the outcome open: look up by hash, send the same bytes.
        """
        return send_to_all(self._endpoints, raw)

    def receipts(self, hashes: Sequence[Hex32]) -> dict[Hex32, Receipt | Undecided | None]:
        """Receipts on the agreed chain up to the agreed head; every hash is a key.

        A receipt counts when its block is the agreed one at its height, and `agreement` endpoints
        give it alike or that block's roots prove it. `None` means that as many, with the agreed
        head, said without error that it is not there, or that the proof refutes who showed one.
        `Undecided` is neither: it moves nothing. Raises Transient when no endpoint answers.
        """
        return self._receipts.find(hashes)

    def transaction_place(self, transaction_hash: Hex32) -> tuple[Address, int] | None:
        """Sender and nonce of a transaction, proven by its hash or agreed; `None` when every
        endpoint that answered lacks it."""
        return find_place(self._endpoints, transaction_hash)

    def nonce(self, address: Address, block: BlockTag = "latest") -> int:
        """The account's next nonce."""
        return self._of_account(
            address, block, "nonce", Endpoint.nonce, lambda account: account.nonce
        )

    def native_balance(self, address: Address, block: BlockTag = "latest") -> Wei:
        """The balance in the chain's own coin, in wei."""
        return Wei(
            self._of_account(
                address,
                block,
                "coins",
                Endpoint.native_balance,
                lambda account: account.balance_wei,
            )
        )

    # Contracts

    def has_code(self, address: Address) -> bool:
        """Whether there is a contract at the address."""
        parameter = self._at("latest")
        return bool(
            self._endpoints.agreed(
                lambda item: item.contract_code(address, parameter), about=f"the code of {address}"
            )
        )

    def calls(
        self, requests: Sequence[CallRequest], *, block: BlockTag = "latest"
    ) -> list[CallOutcome]:
        """Several calls in one round trip to each endpoint that is asked, and in order; a revert is
        an outcome, not an error."""
        if not requests:
            return []
        parameter = self._at(block)
        contracts = dict.fromkeys(str(request.to_address) for request in requests)
        outcomes = self._endpoints.agreed(
            lambda item: item.calls(requests, parameter),
            about=f"the state of {', '.join(contracts)}",
            excused=lambda outcomes: any(_wanted_more_gas(outcome) for outcome in outcomes),
        )
        return list(outcomes)

    def preview(
        self, settler: Address, items: Sequence[SettleItem], *, from_address: Address
    ) -> list[ItemPreview]:
        """What a batch of these items would do at the agreed head, in the items' order.

        Refused with `reason` `settler_paused`, `not_a_settler`, `preview_gas_too_low` (one item
        alone needs more gas than a call may use) or `preview_refused`. A batch too large for one
        call is previewed in halves; the halves then do not see each other's effect on the daily
        limit and on balances.
        """
        return preview_items(
            self.calls,
            settler,
            items,
            from_address=from_address,
            gas_limit=self._policy.preview_gas_limit,
        )

    def settler_view(self, settler: Address) -> SettlerView:
        """A settler's settings and state, in one round trip. Refused if it is not a settler."""
        return read_settler(self.calls, settler)

    def batch_hash(self, settler: Address, block: BlockTag = "latest") -> Hex32:
        """Where the settler's ratchet stands; Refused if there is no settler there."""
        return read_batch_hash(lambda requests: self.calls(requests, block=block), settler)

    def settler_events(
        self, settlers: Sequence[Address], *, from_block: int, to_block: int
    ) -> list[SettlerEvent]:
        """The settlers' events between both blocks inclusive, in chain order.

        Each batch's own counts are checked against its events; an endpoint with a gap, or with an
        event that cannot be read, is passed over. Raises Transient when every one is, InvalidInput
        when `to_block` is above the agreed head.
        """
        return self._logs.read(
            settlers, [_SETTLER_TOPICS], read_events, from_block=from_block, to_block=to_block
        )

    def transfers(
        self,
        token: Address,
        *,
        from_block: int,
        to_block: int,
        from_address: Address | None = None,
        to_address: Address | None = None,
    ) -> list[TransferEvent]:
        """The token's `Transfer` events between both blocks inclusive, in chain order."""
        topics = [
            [TRANSFER_TOPIC],
            None if from_address is None else [address_topic(from_address)],
            None if to_address is None else [address_topic(to_address)],
        ]
        while topics[-1] is None:
            topics.pop()
        return self._logs.read(
            [token], topics, read_transfers, from_block=from_block, to_block=to_block
        )

    def token_view(
        self,
        token: Address,
        *,
        holders: Sequence[Address] = (),
        allowance: tuple[Address, Address] | None = None,
        block: BlockTag = "latest",
    ) -> TokenView:
        """Supply, balances, one allowance as (owner, spender), and whether it is paused."""
        return read_token(
            lambda requests: self.calls(requests, block=block),
            token,
            holders=holders,
            allowance=allowance,
        )

    def token_decimals(self, token: Address) -> int:
        """The token's decimals. Refused if it is not an ERC-20 with sensible ones."""
        return read_token_decimals(self.calls, token)

    def _of_account(
        self,
        address: Address,
        block: BlockTag,
        what: str,
        ask: Callable[[Endpoint, Address, BlockParameter], int],
        proven: Callable[[Account], int],
    ) -> int:
        """As enough endpoints say at the block's hash, or as its state root proves it."""
        at = self._block_at(block)

        def proof() -> int | None:
            account = self._prover.account(
                number=at.number, block_hash=at.block_hash, address=address
            )
            return None if account is None else proven(account)

        return self._endpoints.agreed(
            lambda item: ask(item, address, {"blockHash": at.block_hash}),
            about=f"the {what} of {address}",
            proof=proof,
        )

    def _at(self, block: BlockTag) -> BlockParameter:
        return {"blockHash": self._block_at(block).block_hash}

    def _block_at(self, block: BlockTag) -> Block:
        if block == "latest":
            return self._heads.view.head
        if isinstance(block, int):
            header = self._heads.canonical([block]).get(block)
            if header is None:
                raise Transient(f"block {block} is above the agreed head")
            return header
        raise InvalidInput(f"{block!r} is not a block this can be read at", field="block")


def _wanted_more_gas(outcome: CallOutcome) -> bool:
    """Endpoints bound the gas of a call each in their own way: that says nothing of the chain."""
    return isinstance(outcome, CallReverted) and (
        outcome.out_of_gas or outcome.data[:4] == GAS_TOO_LOW_SELECTOR
    )
