"""Putting contracts on a chain: the settler, and tokens for demonstrations and tests.

Deployments go through the same client as settlements. They are not part of the node's loop: a
person or a test waits for them, so this is the one place that sends and then waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from eth_utils.crypto import keccak

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import Artifact, contract_address, load_artifact
from settlement_node.chain.signers.base import Signer, TransactionFields
from settlement_node.chain.views import Rejected, SendRejection
from settlement_node.domain.observations import BurnStyle, Receipt
from settlement_node.errors import OutcomeUnknown, Refused, Transient
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Wei

DEPLOY_GAS_LIMIT = 8_000_000
"""Twice what the largest contract takes, and below the cap for one transaction (EIP-7825)."""
CALL_GAS_LIMIT = 500_000
IN_FLIGHT_MAX = 16
"""What clients keep of one account."""
ADVANCES_MAX = 120
"""Looks in a row that find nothing new, before a transaction counts as not mined."""
NO_COINS = Wei(0)
_TIP_WEI = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlerSettings:
    """What a settler is deployed with, in the contract's order and units. Floor and ceiling are
    payout base units per whole share, and a floor of 0 is none; `restrict_payees` is whether an
    item's payee must be its investor, or permitted for it; `predecessor_address` is the settler of
    the same tokens that this one takes over from."""

    share_token_address: Address
    payout_token_address: Address
    treasury_address: Address
    burn_style: BurnStyle
    daily_payout_limit_base_units: Payout
    floor_price: int = 0
    ceiling_price: int
    item_gas_limit: int = 400_000
    change_delay_seconds: int = 172_800
    restrict_payees: bool = False
    predecessor_address: Address = ZERO_ADDRESS


Creation = tuple[Artifact | str, Sequence[Any]]
"""A contract, and what its constructor is given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A transaction to send; `to_address` is `None` to create a contract. `what` names it for
    people where it fails."""

    what: str
    to_address: Address | None
    data: bytes
    gas_limit: int = CALL_GAS_LIMIT
    value_wei: Wei = NO_COINS


class Deployer:
    """Sends transactions of one signer and waits for them to be mined."""

    def __init__(self, client: ChainClient, signer: Signer, *, advance: Callable[[], None]) -> None:
        """`advance` is called between looks at the chain: it mines a block, or sleeps a while."""
        self._client = client
        self._signer = signer
        self._advance = advance
        self._base_fee_wei = NO_COINS

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        return self._signer.address

    def deploy(self, artifact: Artifact | str, arguments: Sequence[Any] = ()) -> Address:
        """Create a contract and return its address."""
        (address,) = self.deploy_all([(artifact, arguments)])
        return address

    def deploy_all(self, wanted: Sequence[Creation]) -> list[Address]:
        """Create contracts, as `send_all` sends; their addresses in order."""
        nonce = self._nonce()
        creations: dict[Address, Wanted] = {}
        for artifact, arguments in wanted:
            contract = _loaded(artifact)
            address = contract_address(self.address, nonce + len(creations))
            creations[address] = Wanted(
                f"the creation of {contract.name} at {address}",
                None,
                contract.encode_constructor(arguments),
                gas_limit=DEPLOY_GAS_LIMIT,
            )
        self.send_all(list(creations.values()), nonce=nonce)
        return list(creations)

    def transact(
        self,
        to_address: Address,
        artifact: Artifact | str,
        function: str,
        arguments: Sequence[Any] = (),
        *,
        gas_limit: int = CALL_GAS_LIMIT,
    ) -> Receipt:
        """Call a function of a contract in a transaction; Refused when it reverts."""
        wanted = calling(to_address, artifact, function, arguments)
        (receipt,) = self.send_all([replace(wanted, gas_limit=gas_limit)])
        return receipt

    def send_all(
        self,
        wanted: Sequence[Wanted],
        *,
        mined: Callable[[Wanted], None] = lambda _: None,
        nonce: int | None = None,
    ) -> list[Receipt]:
        """Send all at consecutive nonces, so many at once as clients keep, and return their
        receipts in order. `mined` is told of each that succeeded.

        Raises, with its name, Refused for one that is rejected or reverts, when those behind it
        that were sent are mined too, and OutcomeUnknown with the hash for one that is not mined in
        the time given, since it may still be. Nothing more is sent then.
        """
        first = self._nonce() if nonce is None else nonce
        waiting = deque(enumerate(wanted))
        in_flight: dict[Hex32, int] = {}
        receipts: dict[int, Receipt] = {}
        failure: Refused | None = None
        looks = 0
        while in_flight or waiting:
            while waiting and len(in_flight) < IN_FLIGHT_MAX:
                place, one = waiting.popleft()
                try:
                    in_flight[self._hand_over(one, first + place)] = place
                except Refused as error:
                    failure = failure or error
                    waiting.clear()
            looks += 1
            if looks > ADVANCES_MAX:
                transaction_hash, place = next(iter(in_flight.items()))
                raise OutcomeUnknown(
                    f"{wanted[place].what} is not mined yet, and may still be: transaction"
                    f" {transaction_hash} of {self.address}",
                    transaction_hash=transaction_hash,
                )
            for receipt in self._mined(in_flight):
                looks = 0
                place = in_flight.pop(receipt.transaction_hash)
                receipts[place] = receipt
                if receipt.succeeded:
                    mined(wanted[place])
                else:
                    failure = failure or _reverted(wanted[place], receipt)
                    waiting.clear()
        if failure is not None:
            raise failure
        return [receipts[place] for place in range(len(wanted))]

    def _nonce(self) -> int:
        self._look()
        return self._client.nonce(self.address)

    def _look(self) -> None:
        self._base_fee_wei = self._client.refresh().head.base_fee_per_gas_wei

    def _hand_over(self, wanted: Wanted, nonce: int) -> Hex32:
        """Sign and send once; the hash. Refused when the chain rejects it."""
        signed = self._signer.sign(
            TransactionFields(
                chain_id=self._client.chain_id,
                nonce=nonce,
                to_address=wanted.to_address,
                data=wanted.data,
                value_wei=wanted.value_wei,
                gas_limit=wanted.gas_limit,
                max_fee_per_gas_wei=Wei(2 * self._base_fee_wei + _TIP_WEI),
                max_priority_fee_per_gas_wei=Wei(_TIP_WEI),
            )
        )
        answer = self._client.send_raw(signed.raw)
        if isinstance(answer, Rejected):
            mend = (
                f"; another transaction of {self.address} has nonce {nonce}: wait until it is mined"
                if answer.reason is SendRejection.REPLACEMENT_UNDERPRICED
                else ""
            )
            raise Refused(
                f"the chain rejected {wanted.what}: {answer.message}{mend}", reason=answer.reason
            )
        return signed.hash_hex

    def _mined(self, hashes: Collection[Hex32]) -> list[Receipt]:
        """Those that are mined by now. What the chain cannot say now is asked again."""
        if not hashes:
            return []
        self._advance()
        try:
            self._look()
            found = self._client.receipts(list(hashes))
        except Transient:
            return []
        return [receipt for receipt in found.values() if isinstance(receipt, Receipt)]


def calling(
    to_address: Address, artifact: Artifact | str, function: str, arguments: Sequence[Any] = ()
) -> Wanted:
    """A call of a contract's function, named by it and its arguments."""
    contract = _loaded(artifact)
    shown = ", ".join(f"0x{a.hex()}" if isinstance(a, bytes) else str(a) for a in arguments)
    return Wanted(
        f"{contract.name}.{function}({shown})",
        to_address,
        contract.encode_call(function, arguments),
    )


def _loaded(artifact: Artifact | str) -> Artifact:
    return load_artifact(artifact) if isinstance(artifact, str) else artifact


def _reverted(wanted: Wanted, receipt: Receipt) -> Refused:
    return Refused(
        f"{wanted.what} reverted in transaction {receipt.transaction_hash}",
        reason="reverted",
        transaction_hash=receipt.transaction_hash,
    )


def settler_creation(
    settings: SettlerSettings,
    *,
    owner_address: Address,
    operator_address: Address,
    guardian_address: Address,
) -> Creation:
    """The settler; its constructor refuses settings outside the contract's bounds."""
    fields = asdict(settings) | {"burn_style": settings.burn_style.contract_value}
    roles = [owner_address, operator_address, guardian_address]
    return "RedemptionSettler", [tuple(fields.values()), *roles]


def trial_tokens(
    admin: Address, *, share_decimals: int = 18, share_name: str = "Example Fund"
) -> list[Creation]:
    """The reference fund token and the test stablecoin (6 decimals).

    `admin` administers both and has every role of the fund token but `BURNER_ROLE`.
    """
    return [
        ("FundToken", [share_name, "EXF", share_decimals, admin]),
        ("TestStablecoin", ["Test Dollar", "TUSD", admin]),
    ]


def giving_shares(share_token: Address, holder: Address, shares_base_units: int) -> list[Wanted]:
    """Permit a holder of the reference fund token and give it shares."""
    return [
        calling(share_token, "FundToken", "setPermitted", [holder, True]),
        calling(share_token, "FundToken", "mint", [holder, shares_base_units]),
    ]


def granting_role(share_token: Address, role: str, account: Address) -> Wanted:
    """Give an account a role of the reference fund token, such as `BURNER_ROLE`."""
    return calling(share_token, "FundToken", "grantRole", [keccak(text=role), account])


def permitting_payee(settler: Address, investor: Address, payee: Address) -> Wanted:
    """As the settler's owner, let an investor's redemptions be paid to another account."""
    return calling(settler, "RedemptionSettler", "setPayeePermitted", [investor, payee, True])
