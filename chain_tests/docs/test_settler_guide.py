"""The deploying guide's change of settler, command by command, with a running node, to a new book
that knows what the old settler paid."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chain_tests.crash.daemon import KEY_VARIABLE, PATIENCE_SECONDS, Daemon, settings_text
from settlement_node.chain.client import ChainClient
from settlement_node.chain.signers.local import KeySigner
from settlement_node.cli.fund_file import FundFile, read_fund_file
from settlement_node.demo.book import account
from settlement_node.domain.lifecycle import RedemptionStatus
from settlement_node.methods.deploy import Deployer, permitting_payee
from settlement_node.store.book import redemptions
from settlement_node.store.database import Store, open_engine
from settlement_node.units import Address, Payout
from tests.docs.pages import ROOT, blocks_of, fresh_clone
from tests_support.anvil import AnvilProcess
from tests_support.deploying import grant_fund_role

PAGE, NAME = "docs/guides/deploying.md", "change-of-settler"
OLD, NEW = ("old-1", "old-2"), ("new-1", "new-2")
ALLOWANCE = Payout(10**12)


@dataclass
class Desk:
    """A folder like a clone, beside an anvil whose accounts are the fund's people."""

    folder: Path
    anvil: AnvilProcess
    variables: dict[str, str] = field(default_factory=dict)
    store: Store = field(init=False)

    def run(self, script: str) -> str:
        """What a shell says to these lines; they must succeed."""
        programs = f"{self.folder}/.venv/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", "set -euo pipefail\n" + script],
            cwd=self.folder,
            env=os.environ | {"PATH": programs, "PYTHONPATH": str(ROOT)} | self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def json(self, command: str) -> Any:
        return json.loads(self.run(f"settlement-node {command} --json"))

    def fund(self, name: str) -> FundFile:
        return read_fund_file(self.folder / name)

    def client(self) -> ChainClient:
        client = ChainClient(31337, [self.anvil.transport()], now=time.monotonic)
        client.refresh()
        return client

    def person(self, number: int) -> Deployer:
        """An anvil account: 0 deploys and owns, 2 is the treasury."""
        return Deployer(
            self.client(), KeySigner(self.anvil.funded_keys[number]), advance=lambda: None
        )

    def approve(self, fund: FundFile, settler: Address, allowance: Payout) -> None:
        treasury = self.person(2)
        assert treasury.address == fund.treasury_address
        treasury.transact(
            fund.payout_token_address, "TestStablecoin", "approve", [settler, allowance]
        )

    def money_of(self, fund: FundFile, names: tuple[str, ...]) -> list[int]:
        payees = [account(f"payee of {name}") for name in names]
        view = self.client().token_view(fund.payout_token_address, holders=payees)
        return [view.balances_base_units[payee] for payee in payees]

    def write_orders(self, file: str, names: tuple[str, ...]) -> None:
        lines = ["external_id,investor_address,payee_address,shares,settle_after_utc"]
        lines += [f"{name},{account(name)},{account(f'payee of {name}')},2.5," for name in names]
        (self.folder / file).write_text("\n".join(lines) + "\n")

    def settings(self, book: str) -> Path:
        path = self.folder / f"{book}.toml"
        database_url = f"sqlite:///{self.folder}/{book}.sqlite"
        endpoints = [self.anvil.address]
        path.write_text(
            settings_text(database_url=database_url, endpoints=endpoints, chain_id=31337)
        )
        self.variables["SETTLEMENT_NODE_CONFIG"] = str(path)
        self.run("settlement-node db upgrade")
        self.store = Store(open_engine(database_url))
        return path

    def until(self, done: Callable[[], bool]) -> None:
        """Mine until it is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, self.run("settlement-node status")
            self.anvil.mine(1)
            time.sleep(0.2)

    def settled(self) -> int:
        """Read from the book: the command takes two seconds."""
        with self.store.read() as tx:
            return redemptions.count_by_status(tx).get(RedemptionStatus.SETTLED, 0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with AnvilProcess() as anvil:
        anvil.set_automine(enabled=True)
        lane_key = "0x" + anvil.funded_keys[1].hex()
        yield Desk(fresh_clone(tmp_path), anvil, {KEY_VARIABLE: lane_key})


@contextmanager
def running(desk: Desk, settings: Path) -> Iterator[None]:
    with Daemon(settings, desk.anvil.funded_keys[1]) as daemon:
        daemon.start()
        yield
        daemon.stop()


def follow_the_guide(desk: Desk, old: FundFile) -> None:
    """The page's blocks, with what its words ask of the fund's people between them."""
    deploy, add, pause, switch, go_on = [b.text for b in blocks_of(PAGE) if b.name == NAME]
    owner = desk.person(0)
    desk.variables |= {
        "FUND_ID": old.fund_id,
        "OLD_SETTLER": old.settler_address,
        "SHARE_TOKEN": old.share_token_address,
        "PAYOUT_TOKEN": old.payout_token_address,
        "TREASURY": old.treasury_address,
    }
    # 1. Deploy, right to burn, approval, permissions.
    desk.run(deploy)
    new = desk.fund("new.toml").settler_address
    desk.variables["NEW_SETTLER"] = new
    grant_fund_role(owner, old.share_token_address, "BURNER_ROLE", new)
    desk.approve(old, new, ALLOWANCE)
    owner.send_all(
        [permitting_payee(new, account(name), account(f"payee of {name}")) for name in NEW]
    )
    # 2. Add. 3. Pause, and wait.
    desk.run(add)
    desk.run(pause)
    desk.until(lambda: desk.settled() == len(OLD))
    # 4. Close the old settler.
    owner.transact(old.settler_address, "RedemptionSettler", "revokeOperator")
    desk.approve(old, old.settler_address, Payout(0))
    # 5. Switch. 6. Go on, and keep the file.
    desk.run(switch)
    desk.run(go_on)


@pytest.mark.anvil
@pytest.mark.slow
def test_deploying_guide__change_of_settler__new_orders_settle_and_a_new_book_knows_the_old(
    desk: Desk,
) -> None:
    settings = desk.settings("first")
    desk.write_orders("all.csv", OLD + NEW)
    desk.write_orders("old.csv", OLD)
    desk.write_orders("new.csv", NEW)
    desk.run("settlement-node deploy --shares-for all.csv --out fund.toml")
    desk.run("settlement-node fund add fund.toml && settlement-node import old.csv")
    old = desk.fund("fund.toml")
    with running(desk, settings):
        desk.until(lambda: desk.settled() > 0)
        follow_the_guide(desk, old)
        desk.run("settlement-node import new.csv")
        desk.until(lambda: desk.settled() == len(OLD + NEW))
    assert desk.json("reconcile")["agrees"]
    paid = desk.money_of(old, OLD + NEW)
    assert min(paid) > 0
    kept = desk.fund("fund.toml")
    assert (kept.settler_address, [one.settler_address for one in kept.former_settlers]) == (
        desk.variables["NEW_SETTLER"],
        [old.settler_address],
    )

    # The book is lost; from here the new one has the kept file alone, and all orders again.
    settings = desk.settings("second")
    desk.run("settlement-node fund add fund.toml && settlement-node import all.csv")
    with running(desk, settings):
        desk.until(lambda: desk.settled() == len(OLD + NEW))
    assert desk.json("reconcile")["agrees"]
    assert paid == desk.money_of(old, OLD + NEW)
