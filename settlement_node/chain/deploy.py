"""Putting contracts on a chain: the settler, and tokens for demonstrations and tests.

Deployments go through the same client as settlements. They are not part of the node's loop: a
person or a test waits for them, so this is the one place that sends and then waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_typing import HexAddress, HexStr
from eth_utils.crypto import keccak
from web3.types import Nonce
from web3.utils import get_create_address

from settlement_node.chain.client import ChainClient
from settlement_node.chain.contracts.artifacts import Artifact, load_artifact
from settlement_node.chain.signers import Signer, TransactionFields
from settlement_node.chain.views import Accepted, Rejected
from settlement_node.domain.observations import BurnStyle, Receipt
from settlement_node.errors import OutcomeUnknown, Refused, Transient
from settlement_node.units import ZERO_ADDRESS, Address, Hex32, Payout, Wei

DEPLOY_GAS_LIMIT = 8_000_000
"""Twice what the largest contract takes, and below the cap for one transaction (EIP-7825)."""
CALL_GAS_LIMIT = 500_000
ADVANCES_MAX = 120
NO_COINS = Wei(0)
_TIP_WEI = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SettlerSettings:
    """What a settler is deployed with, in the contract's order and units."""

    share_token_address: Address
    payout_token_address: Address
    treasury_address: Address
    burn_style: BurnStyle
    daily_payout_limit_base_units: Payout
    ceiling_price: int
    """Payout base units per whole share; so is the floor, and a floor of 0 is none."""
    floor_price: int = 0
    item_gas_limit: int = 400_000
    change_delay_seconds: int = 172_800
    restrict_payees: bool = False
    """Whether an item's payee must be its investor, or permitted for it."""
    predecessor_address: Address = ZERO_ADDRESS
    """The settler of the same tokens that this one takes over from."""


@dataclass(frozen=True, slots=True)
class TestTokens:
    """A fund token and a stablecoin whose administrator is the deployer."""

    __test__ = False  # not a test class, whatever its name

    share_token_address: Address
    payout_token_address: Address


class Deployer:
    """Sends transactions of one signer and waits for each to be mined."""

    def __init__(self, client: ChainClient, signer: Signer, *, advance: Callable[[], None]) -> None:
        """`advance` is called between looks at the chain: it mines a block, or sleeps a while."""
        self._client = client
        self._signer = signer
        self._advance = advance

    @property
    def address(self) -> Address:
        """Whose transactions these are."""
        return self._signer.address

    def deploy(self, artifact: Artifact | str, arguments: Sequence[Any] = ()) -> Address:
        """Create a contract and return its address."""
        if isinstance(artifact, str):
            artifact = load_artifact(artifact)
        nonce = self._nonce()
        address = contract_address(self._signer.address, nonce)
        data = artifact.encode_constructor(arguments)
        try:
            self._send(None, data, nonce=nonce, gas_limit=DEPLOY_GAS_LIMIT)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(
                f"{error.message}; if it comes to be mined, the contract is at {address}",
                contract_address=address,
                **error.details,
            ) from None
        return address

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
        if isinstance(artifact, str):
            artifact = load_artifact(artifact)
        data = artifact.encode_call(function, arguments)
        return self.send(to_address, data, gas_limit=gas_limit)

    def send(
        self,
        to_address: Address,
        data: bytes,
        *,
        value_wei: Wei = NO_COINS,
        gas_limit: int = CALL_GAS_LIMIT,
    ) -> Receipt:
        """Send one transaction and wait for its receipt.

        Refused when it is rejected or reverts; OutcomeUnknown, with the hash, when it is not mined
        in the time given, since it may still be.
        """
        return self._send(
            to_address, data, nonce=self._nonce(), gas_limit=gas_limit, value_wei=value_wei
        )

    def _nonce(self) -> int:
        self._client.refresh()
        return self._client.nonce(self._signer.address)

    def _send(
        self,
        to_address: Address | None,
        data: bytes,
        *,
        nonce: int,
        gas_limit: int,
        value_wei: Wei = NO_COINS,
    ) -> Receipt:
        base_fee = self._client.refresh().head.base_fee_per_gas_wei
        signed = self._signer.sign(
            TransactionFields(
                chain_id=self._client.chain_id,
                nonce=nonce,
                to_address=to_address,
                data=data,
                value_wei=value_wei,
                gas_limit=gas_limit,
                max_fee_per_gas_wei=Wei(2 * base_fee + _TIP_WEI),
                max_priority_fee_per_gas_wei=Wei(_TIP_WEI),
            )
        )
        answer = self._client.send_raw(signed.raw)
        if isinstance(answer, Rejected):
            raise Refused(
                f"the chain rejected a transaction of {self._signer.address}: {answer.message}",
                reason=answer.reason,
            )
        receipt = self._wait(signed.hash_hex)
        if receipt is None:
            raise OutcomeUnknown(
                f"transaction {signed.hash_hex} of {self._signer.address} is not mined yet"
                + ("" if isinstance(answer, Accepted) else f"; {answer.message}"),
                transaction_hash=signed.hash_hex,
            )
        if not receipt.succeeded:
            raise Refused(
                f"transaction {signed.hash_hex} of {self._signer.address} reverted",
                reason="reverted",
                transaction_hash=signed.hash_hex,
            )
        return receipt

    def _wait(self, transaction_hash: Hex32) -> Receipt | None:
        for _ in range(ADVANCES_MAX):
            self._advance()
            try:
                self._client.refresh()
                receipt = self._client.receipts([transaction_hash])[transaction_hash]
            except Transient:
                continue
            if isinstance(receipt, Receipt):
                return receipt
        return None


def deploy_settler(
    deployer: Deployer,
    settings: SettlerSettings,
    *,
    owner_address: Address,
    operator_address: Address,
    guardian_address: Address,
) -> Address:
    """Deploy the settler; its constructor refuses settings outside the contract's bounds."""
    return deployer.deploy(
        "RedemptionSettler",
        [
            (
                settings.share_token_address,
                settings.payout_token_address,
                settings.treasury_address,
                settings.burn_style.contract_value,
                settings.daily_payout_limit_base_units,
                settings.floor_price,
                settings.ceiling_price,
                settings.item_gas_limit,
                settings.change_delay_seconds,
                settings.restrict_payees,
                settings.predecessor_address,
            ),
            owner_address,
            operator_address,
            guardian_address,
        ],
    )


def deploy_test_tokens(
    deployer: Deployer, *, share_decimals: int = 18, share_name: str = "Example Fund"
) -> TestTokens:
    """Deploy the reference fund token and the test stablecoin (6 decimals).

    The deployer administers both and has every role of the fund token but `BURNER_ROLE`.
    """
    share = deployer.deploy("FundToken", [share_name, "EXF", share_decimals, deployer.address])
    payout = deployer.deploy("TestStablecoin", ["Test Dollar", "TUSD", deployer.address])
    return TestTokens(share, payout)


def grant_fund_role(deployer: Deployer, share_token: Address, role: str, account: Address) -> None:
    """Give an account a role of the fund token, such as `BURNER_ROLE`."""
    deployer.transact(share_token, "FundToken", "grantRole", [keccak(text=role), account])


def permit_payee(
    owner: Deployer, settler: Address, investor_address: Address, payee_address: Address
) -> None:
    """As the settler's owner, let an investor's redemptions be paid to another account."""
    owner.transact(
        settler, "RedemptionSettler", "setPayeePermitted", [investor_address, payee_address, True]
    )


def contract_address(sender: Address, nonce: int) -> Address:
    """Where a creation by `sender` at `nonce` puts its contract."""
    return Address(get_create_address(HexAddress(HexStr(sender)), Nonce(nonce)))
