"""What a row of the catalogue is, and the lines of trouble that the rows stand against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from tests.defences.changes import Change, Text


class Part(StrEnum):
    """Where the trouble comes from."""

    SENDING = "sending"
    CHAIN = "chain"
    TOKENS = "tokens"
    DATABASE = "database"
    MACHINE = "machine"


PART_TITLES = {
    Part.SENDING: "Sending",
    Part.CHAIN: "Chain",
    Part.TOKENS: "Tokens",
    Part.DATABASE: "Database and process",
    Part.MACHINE: "The machine it is set up on",
}


class Line(Enum):
    """One kind of trouble: its part, and a short title. Each has at least one row."""

    LOST_ANSWER = (Part.SENDING, "A send arrives and its answer does not")
    UNKNOWN_RECEIPT = (Part.SENDING, "A receipt cannot be had although the transaction is mined")
    DEATH_BETWEEN_STEPS = (Part.SENDING, "The process dies somewhere between signing and receipt")
    OTHER_ATTEMPT_MINED = (Part.SENDING, "Another attempt than expected is mined")
    NO_OP_MINED = (Part.SENDING, "The no-op that replaced an overdue batch is mined")
    FEE_LIMITS = (Part.SENDING, "The fee meets the ceiling, or the clients' replacement rule")
    MEMPOOL_TROUBLE = (Part.SENDING, "A mempool forgets, refuses, or knows already")
    STRANGER = (Part.SENDING, "Somebody else signs with the lane's key")
    NONCE_VIEWS = (Part.SENDING, "Endpoints tell different nonces")
    SIGNER_AWAY = (Part.SENDING, "The signer does not sign")
    MANY_IN_FLIGHT = (Part.SENDING, "Very many transactions wait at the same time")
    BATCH_TOO_LARGE = (Part.SENDING, "A batch needs more gas than it gets")

    REORGANISATION = (Part.CHAIN, "Blocks that held our transactions are replaced")
    DEEP_REORGANISATION = (Part.CHAIN, "Blocks are replaced that had counted as final")
    FALSE_ENDPOINT = (Part.CHAIN, "An endpoint lags, flaps, or follows another chain")
    LYING_ENDPOINT = (Part.CHAIN, "One endpoint says of the agreed chain what is not so")
    LOGS_MISSING = (Part.CHAIN, "Logs are refused in bulk, or left out in silence")
    BELIEVED_LIE = (Part.CHAIN, "A lie was believed once and stands in the book")
    FEES_AND_HALTS = (Part.CHAIN, "Fees leap, blocks stay away or stay empty")
    SETTLER_RIGHTS = (Part.CHAIN, "Whoever holds a right over the settler turns bad")
    CHANGE_OF_SETTLER = (Part.CHAIN, "The fund changes its settler")
    HOSTILE_TOKEN = (Part.CHAIN, "A token does something else than it was asked to")

    RESTRICTED = (Part.TOKENS, "A holder or payee may not take part, and the token does not say so")
    TOKEN_STOPPED = (Part.TOKENS, "A token, a role or the treasury stands in every order's way")

    DATABASE_FAILS = (Part.DATABASE, "The database fails in the middle of work")
    OLD_BACKUP = (Part.DATABASE, "The database comes back as it was some time ago")
    TWO_NODES = (Part.DATABASE, "Two nodes work on the same lane")
    MEANWHILE = (Part.DATABASE, "A person changes what the node is acting on at that moment")
    CLOCK_JUMPS = (Part.DATABASE, "A machine's clock jumps")
    UNTOLD = (Part.DATABASE, "Who is to be told of what happened is slow, away, or restarted")
    REQUEST_TWICE = (Part.DATABASE, "A request comes again, the same or changed")
    HOSTILE_INPUT = (Part.DATABASE, "Input is malformed, enormous or malicious")

    OTHER_PACKAGES = (Part.MACHINE, "What is installed is not what was tested")

    def __init__(self, part: Part, title: str) -> None:
        self.part = part
        self.title = title


@dataclass(frozen=True, slots=True, kw_only=True)
class Defence:
    """One defence, how to take it out, and who notices.

    `at` is a file and, in Python, a function, class or constant: `folder/file.py:Class.method`.
    `change` is what a careless programmer would have had it do.
    `tests` are node ids, of pytest or (in `*.t.sol`) of forge; each must fail without it.
    """

    name: str
    line: Line
    happens: str
    holds: str
    at: str
    change: Change | Text
    tests: tuple[str, ...]

    @property
    def file(self) -> str:
        return self.at.partition(":")[0]

    @property
    def place(self) -> str:
        """What of the file; empty where it is not Python."""
        return self.at.partition(":")[2]

    @property
    def part(self) -> Part:
        return self.line.part

    @property
    def pytest_ids(self) -> tuple[str, ...]:
        return tuple(test for test in self.tests if not is_forge_test(test))

    @property
    def forge_ids(self) -> tuple[str, ...]:
        return tuple(test for test in self.tests if is_forge_test(test))


def is_forge_test(test: str) -> bool:
    """Whether a node id is of a contract's test."""
    return test.partition("::")[0].endswith(".t.sol")
