"""A fund as a TOML file: reading it, comparing it with the chain, writing it.

Decimals are not in the file: they are the tokens' own and are read from the chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, model_validator
from sqlalchemy import RowMapping

from settlement_node.chain.client import ChainClient
from settlement_node.config.faults import ConfigurationInvalid, Fault, parse_tree, read_toml
from settlement_node.config.fields import CheckedAddress, Section, as_value_error
from settlement_node.desk.succession import has_paid_before, with_predecessors
from settlement_node.domain.observations import BurnStyle
from settlement_node.domain.price_band import PriceBand
from settlement_node.domain.redemption import PriceTerms
from settlement_node.domain.token_checks import (
    CheckAbout,
    CheckedToken,
    FundChecks,
    read_checks,
)
from settlement_node.errors import InvalidInput, Refused
from settlement_node.methods.error_abi import error_signatures, read_error_abi
from settlement_node.node.stages.eligibility import try_checks
from settlement_node.store.book.funds import NewFund
from settlement_node.store.book.settlers import PastSettler
from settlement_node.store.rows import FundRow
from settlement_node.units import (
    DECIMALS_MAX,
    Address,
    format_units,
    parse_decimal_units,
)

FUND_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _signatures(signatures: tuple[str, ...]) -> tuple[str, ...]:
    return as_value_error(lambda: error_signatures(signatures))


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be printable, without blanks at its ends")
    return text


class OwnCheck(Section):
    """A question of the fund's own; examples/fund.toml shows one."""

    token: CheckedToken
    about: CheckAbout
    function: str = Field(max_length=100)
    good: StrictBool | Annotated[StrictInt, Field(ge=0, le=2**53)]


class ChecksSection(Section):
    """What the fund's tokens are asked about holders and payees before anything is planned."""

    share_token: str | None = None
    payout_token: str | None = None
    more: tuple[OwnCheck, ...] = ()

    @model_validator(mode="after")
    def _is_understood(self) -> Self:
        as_value_error(self.fund_checks)
        return self

    def fund_checks(self) -> FundChecks:
        """As the book has them; raises InvalidInput."""
        return read_checks(self.model_dump(mode="json"))


class FormerSettler(Section):
    """A settler the fund had before."""

    settler_address: CheckedAddress
    from_block: int = Field(ge=0, le=2**62)


class FundFile(Section):
    """The file's keys."""

    fund_id: str = Field(
        pattern=FUND_ID_PATTERN, description='letters, digits, ".", "_" and "-", at most 64'
    )
    name: Annotated[str, AfterValidator(_printable)] = Field(min_length=1, max_length=200)
    chain_id: int = Field(ge=1, le=2**53)
    share_token_address: CheckedAddress
    payout_token_address: CheckedAddress
    settler_address: CheckedAddress
    settler_from_block: int = Field(
        ge=0, le=2**62, description="the block the settler was deployed in; events are read from it"
    )
    treasury_address: CheckedAddress
    lane_address: CheckedAddress = Field(description="the settler's operator; its key signs")
    burn_style: BurnStyle
    fee_bps: int = Field(ge=0, lt=10_000, description="kept back from each payout, in 1/100 %")
    nav: str | None = Field(
        default=None, description='payout token for one whole share, for example "104.25"'
    )
    nav_decimals: int = Field(default=6, ge=0, le=DECIMALS_MAX)
    errors_abi: str | None = Field(
        default=None,
        description="a JSON file with the tokens' ABI, beside this one: their errors in words",
    )
    errors: Annotated[tuple[str, ...], AfterValidator(_signatures)] = Field(
        default=(),
        description='the tokens\' own errors without an ABI, such as "HolderLocked(address)"',
    )
    checks: ChecksSection = ChecksSection()
    former_settlers: tuple[FormerSettler, ...] = Field(
        default=(), max_length=100, description="settlers the fund had before; see `fund settler`"
    )

    @model_validator(mode="after")
    def _names_each_settler_once(self) -> Self:
        named = [self.settler_address, *(one.settler_address for one in self.former_settlers)]
        for address in named:
            if named.count(address) > 1:
                raise ValueError(f"settler {address} is named twice")
        return self

    def nav_per_share(self) -> int | None:
        """The price as an integer with `nav_decimals`; raises InvalidInput."""
        if self.nav is None:
            return None
        value = parse_decimal_units(self.nav, self.nav_decimals, field="nav")
        if value == 0:
            raise InvalidInput("nav must be greater than zero", field="nav")
        return value

    def check_price(self, band: PriceBand) -> None:
        """Raises InvalidInput when a settler would not pay what the price comes to."""
        nav = self.nav_per_share()
        if nav is None:
            return
        # One whole share is priced, however many decimals it has.
        fault = band.fault(
            PriceTerms(nav, self.nav_decimals, 0, band.payout_decimals, self.fee_bps)
        )
        if fault is not None:
            raise InvalidInput(fault, field="nav")


def read_fund_file(path: Path) -> FundFile:
    """Read and check the shape; the errors of the file that `errors_abi` names, beside this one,
    are then among `errors`. Raises ConfigurationInvalid listing every fault."""
    mend = "settlement-node deploy writes one; examples/fund.toml shows the keys"
    tree = read_toml(path, if_absent=mend)
    fund = parse_tree(FundFile, tree, overridden={}, path=path)
    if fund.errors_abi is None:
        return fund
    try:
        named = read_error_abi(path.parent / fund.errors_abi)
        errors = error_signatures([*fund.errors, *named])
    except InvalidInput as error:
        mend = "name a JSON file with the tokens' ABI, or write their errors under errors"
        raise ConfigurationInvalid(
            path, [Fault("errors_abi", f"is wrong: {error.message}", mend)]
        ) from None
    return fund.model_copy(update={"errors_abi": None, "errors": errors})


def check_on_chain(fund: FundFile, client: ChainClient) -> NewFund:
    """Compare with the settler, read the tokens' decimals, and make the fund.

    Raises InvalidInput naming every difference; Refused when an address is not what it should be;
    Transient when the chain does not answer.
    """
    client.check_chain_id()
    head = client.refresh().head
    view = client.settler_view(fund.settler_address)
    differing = {
        key: f"{key} is {ours} in the file and {theirs} on the chain"
        for key, ours, theirs in (
            ("share_token_address", fund.share_token_address, view.share_token_address),
            ("payout_token_address", fund.payout_token_address, view.payout_token_address),
            ("treasury_address", fund.treasury_address, view.treasury_address),
            ("lane_address", fund.lane_address, view.operator_address),
            ("burn_style", fund.burn_style.value, view.burn_style.value),
        )
        if ours != theirs
    }
    if differing:
        raise InvalidInput(
            "the fund file and the settler contradict each other: " + "; ".join(differing.values()),
            field=next(iter(differing)),
        )
    if fund.settler_from_block > head.number:
        raise InvalidInput(
            f"settler_from_block is {fund.settler_from_block}, and the chain's head is"
            f" {head.number}",
            field="settler_from_block",
        )
    read_from = [(fund.settler_address, fund.settler_from_block, "settler_from_block")]
    read_from += [
        (p.settler_address, p.from_block, "former_settlers") for p in fund.former_settlers
    ]
    for settler, from_block, field in read_from:
        # The replay must begin at or before the settler's first batch.
        if has_paid_before(client, settler, from_block):
            raise InvalidInput(
                f"{field}: settler {settler} is to be read from block {from_block}, and it had paid"
                " a batch before that block; name the block it was deployed in",
                field=field,
            )
    new = new_fund(
        fund,
        share_decimals=decimals_of(client, fund.share_token_address, field="share_token_address"),
        payout_decimals=decimals_of(
            client, fund.payout_token_address, field="payout_token_address"
        ),
    )
    fund.check_price(PriceBand(view.floor_price, view.ceiling_price, new.payout_decimals))
    try_checks(client.calls, new)
    return with_predecessors(client, new)


def decimals_of(client: ChainClient, token: Address, *, field: str) -> int:
    """A token's own decimals; InvalidInput when there is no ERC-20."""
    try:
        return client.token_decimals(token)
    except Refused as error:
        raise InvalidInput(f"{field}: {error.message}", field=field) from None


SHARED_KEYS = (FundFile.model_fields.keys() & NewFund.__dataclass_fields__.keys()) - {
    "settler_from_block",
    "checks",
    "former_settlers",
}
"""What file and book call by one name and write alike."""


def new_fund(fund: FundFile, *, share_decimals: int, payout_decimals: int) -> NewFund:
    """The fund for the book, with the tokens' own decimals."""
    shared: dict[str, Any] = {key: getattr(fund, key) for key in SHARED_KEYS}
    return NewFund(
        **shared,
        share_decimals=share_decimals,
        payout_decimals=payout_decimals,
        settler_from_block=fund.settler_from_block,
        nav_per_share=fund.nav_per_share(),
        checks=fund.checks.fund_checks(),
        error_signatures=fund.errors,
        former_settlers=tuple(
            PastSettler(one.settler_address, one.from_block) for one in fund.former_settlers
        ),
    )


def fund_file_of(fund: FundRow, settlers: Sequence[RowMapping]) -> FundFile:
    """The file of a fund as the book has it, with every settler the fund had."""
    from_blocks = {row["settler_address"]: row["from_block"] for row in settlers}
    nav = fund.nav_per_share
    shared: dict[str, Any] = {key: getattr(fund, key) for key in SHARED_KEYS}
    return FundFile(
        **shared,
        settler_from_block=from_blocks.pop(fund.settler_address),
        nav=None if nav is None else format_units(nav, fund.nav_decimals),
        errors=fund.error_signatures,
        checks=ChecksSection.model_validate(fund.checks.document()),
        former_settlers=tuple(
            FormerSettler(settler_address=address, from_block=from_block)
            for address, from_block in from_blocks.items()
        ),
    )


def write_fund_file(fund: FundFile) -> str:
    """The file's text."""
    lines = ["# A fund, for: settlement-node fund add FILE"]
    keys = fund.model_dump(mode="json", exclude_none=True)
    checks = keys.pop("checks")
    own = checks.pop("more")
    former = keys.pop("former_settlers")
    if not fund.errors:
        del keys["errors"]
    lines += _lines(keys)
    if checks:
        lines += ["", "[checks]", *_lines(checks)]
    for check in own:
        lines += ["", "[[checks.more]]", *_lines(check)]
    for settler in former:
        lines += ["", "[[former_settlers]]", *_lines(settler)]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, object]) -> list[str]:
    """Numbers, printable text and lists of it are the same in TOML as in JSON."""
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False, indent=2)}" for key, value in table.items()
    ]
