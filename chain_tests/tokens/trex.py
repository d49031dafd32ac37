"""A stage whose share token is the real T-REX suite: token, registry, claims and issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from coincurve import PrivateKey
from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from chain_tests.tokens.packages import TREX, packaged
from chain_tests.tokens.stage import TREASURY, fund_of, hands
from chain_tests.world import Chain
from settlement_node.chain.contracts.artifacts import Artifact
from settlement_node.demo.stage import Stage
from settlement_node.domain.token_checks import FundChecks
from settlement_node.methods.deploy import Deployer
from settlement_node.units import ZERO_ADDRESS, Address, Shares

KYC = 1
"""The one claim topic the token asks for."""
SIGNED_BY_ECDSA = 1
COUNTRY = 756
INIT_GAS = 2_000_000


@cache
def trex(name: str) -> Artifact:
    """One contract of the suite."""
    registry = "contracts/registry/implementation"
    folder = {
        "Token": "contracts/token",
        "ModularCompliance": "contracts/compliance/modular",
        "Identity": "@onchain-id/solidity/contracts",
        "ClaimIssuer": "@onchain-id/solidity/contracts",
    }.get(name, registry)
    return packaged(f"{TREX}/{folder}/{name}.sol/{name}")


@dataclass(frozen=True, slots=True)
class TrexStage(Stage):
    """The deployer owns the suite, is the token's and the registry's agent, manages every identity,
    and signs the issuer's claims."""

    issuer_address: Address
    registry_address: Address
    identities: dict[Address, Address]

    def act(self, function: str, *arguments: object) -> None:
        """As an agent of the token."""
        self.deployer.transact(
            self.fund.share_token_address, trex("Token"), function, list(arguments)
        )

    def register(self, function: str, *arguments: object) -> None:
        """As an agent of the identity registry."""
        self.deployer.transact(
            self.registry_address, trex("IdentityRegistry"), function, list(arguments)
        )

    def give_shares(self, shares_of_holders: Mapping[Address, Shares]) -> None:
        for holder, shares_base_units in shares_of_holders.items():
            self._give(holder, shares_base_units)

    def _give(self, holder: Address, shares_base_units: Shares) -> None:
        """To a holder with an identity and a claim, made if it has none."""
        if holder not in self.identities:
            identity = self.deployer.deploy(trex("Identity"), [self.deployer.address, False])
            self.identities[holder] = identity
            self.deployer.transact(
                identity,
                trex("Identity"),
                "addClaim",
                [KYC, SIGNED_BY_ECDSA, self.issuer_address, self._claim(identity), b"", ""],
            )
            self.register("registerIdentity", holder, identity, COUNTRY)
        self.act("mint", holder, shares_base_units)

    def revoke_claim(self, holder: Address) -> None:
        """As the issuer."""
        claim = self._claim(self.identities[holder])
        self.deployer.transact(
            self.issuer_address, trex("ClaimIssuer"), "revokeClaimBySignature", [claim]
        )

    def _claim(self, identity: Address) -> bytes:
        said = keccak(abi_encode(["address", "uint256", "bytes"], [identity, KYC, b""]))
        signed = keccak(b"\x19Ethereum Signed Message:\n32" + said)
        key = PrivateKey(self.chain.funded_keys[0])
        signature = key.sign_recoverable(signed, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])


def set_trex_stage(chain: Chain, *, checks: FundChecks, agent: bool = True) -> TrexStage:
    """Deploy the suite, unpause its token, and make the settler an agent of it or not."""
    on = hands(chain)

    def made(name: str, *arguments: object) -> Address:
        address = on.deployer.deploy(trex(name))
        initialise(on.deployer, address, name, *arguments)
        return address

    topics, issuers = made("ClaimTopicsRegistry"), made("TrustedIssuersRegistry")
    storage, compliance = made("IdentityRegistryStorage"), made("ModularCompliance")
    registry = made("IdentityRegistry", issuers, topics, storage)
    words = ("Real Shares", "REAL", 18, ZERO_ADDRESS)
    token = made("Token", registry, compliance, *words)
    issuer = on.deployer.deploy(trex("ClaimIssuer"), [on.deployer.address])
    send = on.deployer.transact
    send(topics, trex("ClaimTopicsRegistry"), "addClaimTopic", [KYC])
    send(issuers, trex("TrustedIssuersRegistry"), "addTrustedIssuer", [issuer, [KYC]])
    send(storage, trex("IdentityRegistryStorage"), "bindIdentityRegistry", [registry])
    send(registry, trex("IdentityRegistry"), "addAgent", [on.deployer.address])
    send(token, trex("Token"), "addAgent", [on.deployer.address])
    send(token, trex("Token"), "unpause")
    payout = on.deployer.deploy("TestStablecoin", ["Test Dollar", "TUSD", on.deployer.address])
    fund = fund_of(on, share_address=token, payout_address=payout, checks=checks)
    if agent:
        send(token, trex("Token"), "addAgent", [fund.settler_address])
    stage = TrexStage(
        chain, on.client, on.deployer, on.operator, on.treasury, fund, issuer, registry, {}
    )
    stage.give_money([on.treasury.address], TREASURY)
    stage.approve(TREASURY)
    return stage


def initialise(deployer: Deployer, address: Address, name: str, *arguments: object) -> None:
    """Call `init`, which takes the place of the constructors behind the suite's proxies."""
    deployer.transact(address, trex(name), "init", list(arguments), gas_limit=INIT_GAS)
