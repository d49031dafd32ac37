"""Every defence, in the order of the lines they belong to."""

from __future__ import annotations

from tests.defences.agreement import AGREEMENT_ROWS
from tests.defences.callers import CALLERS
from tests.defences.chain import CHAIN
from tests.defences.database import DATABASE
from tests.defences.endpoints import ENDPOINTS
from tests.defences.lanes import LANES
from tests.defences.machine import MACHINE
from tests.defences.mending import MENDING
from tests.defences.model import Defence
from tests.defences.sending import SENDING
from tests.defences.settlers import SETTLERS
from tests.defences.telling import TELLING
from tests.defences.tokens import TOKENS

DEFENCES: tuple[Defence, ...] = (
    *SENDING,
    *LANES,
    *CHAIN,
    *AGREEMENT_ROWS,
    *ENDPOINTS,
    *TOKENS,
    *SETTLERS,
    *DATABASE,
    *TELLING,
    *CALLERS,
    *MACHINE,
    *MENDING,
)
