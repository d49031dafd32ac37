"""No key, password or token shows: not in repr, not in an error, not in what is logged."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from eth_keyfile.keyfile import create_keyfile_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settlement_node.assembly import build_signer
from settlement_node.chain.signers.backoff import BackoffSigner
from settlement_node.chain.signers.base import Signer
from settlement_node.chain.signers.kms import KmsSigner
from settlement_node.chain.signers.local import KeySigner, KeystoreSigner
from settlement_node.chain.signers.remote import RemoteSigner
from settlement_node.chain.signers.remote_http import RemoteHttp, TokenSource
from settlement_node.config.sections import LoggingSettings, SignerSettings
from settlement_node.errors import SettlementError
from settlement_node.logs import configure_logs
from tests_support import web3signer as play
from tests_support.web3signer import KEY, Web3SignerStandIn

from .fields import FIELDS
from .test_kms import ScriptedKms, aws_says

keys = st.integers(1 << 200, 1 << 254).map(lambda number: number.to_bytes(32, "big"))
tokens = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16)
FORMATS = ("json", "console")
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def forms_of(key: bytes) -> list[str]:
    """How a key could be written."""
    return [key.hex(), str(int.from_bytes(key, "big")), repr(key)[2:-1], repr(list(key))[1:-1]]


@contextmanager
def everything_logged(form: Any) -> Iterator[io.StringIO]:
    """All logging of the process at its most talkative, as it would be written."""
    stream = io.StringIO()
    before, level = list(logging.getLogger().handlers), logging.getLogger().level
    try:
        configure_logs(LoggingSettings(level="debug", format=form), stream=stream)
        for name in ("urllib3", "botocore"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield stream
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
        for name in ("urllib3", "botocore"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def shown_by(error: BaseException) -> str:
    """All an error says: words, details, and those of whatever stands behind it."""
    details = error.details if isinstance(error, SettlementError) else ""
    return "".join(traceback.format_exception(error)) + f"{error!r}{error}{details}"


def shown_by_work(make: Callable[[], Signer], form: Any) -> str:
    """Everything that can be seen of a signer that is made, looked at, used and breaks."""
    shown = ""
    with everything_logged(form) as stream:
        log = structlog.get_logger("test")
        try:
            signer = make()
            shown += f"{signer} {signer!r} {[signer]} {BackoffSigner(signer, now=float)!r}"
            log.info("signer", signer=signer, each=[signer])
            with suppress(TypeError, AttributeError):
                shown += repr(vars(signer))
            with suppress(Exception):
                shown += repr(pickle.dumps(signer))
            signer.sign(FIELDS)
            raise RuntimeError("breaks with the signer among its locals")
        except Exception as error:
            shown += shown_by(error)
            log.exception("broken")
            logging.getLogger("other").exception("broken")
    return shown + stream.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@given(key=keys)
@few
def test_key_signer__any_key__never_shown(form: str, key: bytes) -> None:
    shown = shown_by_work(lambda: KeySigner.from_environment("K", {"K": key.hex()}), form)

    assert not [text for text in forms_of(key) if text in shown]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("broken", ["short", "long", "prefix", "zero-x"])
@given(key=keys)
@few
def test_key_signer__key_written_wrong__the_wrong_text_is_not_shown(
    form: str, broken: str, key: bytes
) -> None:
    text = {
        "short": key.hex()[:-1],
        "long": key.hex() + "0",
        "prefix": "k" + key.hex(),
        "zero-x": "0x0x" + key.hex(),
    }[broken]

    shown = shown_by_work(lambda: KeySigner.from_environment("K", {"K": text}), form)

    assert key.hex()[:-1] not in shown


@pytest.mark.parametrize("form", FORMATS)
@given(key=keys, password=tokens, is_right=st.booleans())
@settings(few, max_examples=8)
def test_keystore_signer__any_key_and_password__never_shown(
    tmp_path: Path, form: str, key: bytes, password: str, is_right: bool
) -> None:
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(create_keyfile_json(key, password.encode(), iterations=1)))
    given_password = password if is_right else password + "x"

    shown = shown_by_work(
        lambda: KeystoreSigner.from_keystore(
            path, password_variable="P", environment={"P": given_password}
        ),
        form,
    )

    assert not [text for text in (*forms_of(key), password) if text in shown]


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "answer", [None, play.status(401), play.status(500), play.status(200, "x"), play.cut_off]
)
@given(token=tokens)
@settings(few, max_examples=5)
def test_remote_signer__any_token__never_shown(
    web3signer: Web3SignerStandIn, form: str, answer: Any, token: str
) -> None:
    web3signer.sign_answer = answer
    source = TokenSource("T", environment={"T": token})
    http = RemoteHttp(web3signer.url, token=source)

    shown = shown_by_work(lambda: RemoteSigner(http, address=KeySigner(KEY).address), form)

    assert token not in shown + repr(http) + repr(source)
    assert web3signer.requests[-1][2]["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("form", FORMATS)
@given(token=tokens)
@few
def test_remote_signer__address_with_a_password__never_shown(form: str, token: str) -> None:
    entry = SignerSettings.model_validate(
        {
            "chain_id": 1,
            "kind": "remote",
            "url": f"https://user:{token}@signer",
            "address": KeySigner(KEY).address,
        }
    )

    shown = shown_by_work(lambda: build_signer(entry, {}), form)

    assert token not in shown + repr(entry) + str(entry)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("code", [None, "AccessDeniedException", "ThrottlingException"])
def test_kms_signer__credentials_of_the_environment__never_shown(
    monkeypatch: pytest.MonkeyPatch, form: str, code: str | None
) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    kms = ScriptedKms()
    kms.fails = None if code is None else aws_says(code)

    shown = shown_by_work(
        lambda: KmsSigner(lambda: kms, key_id="alias/lane", address=KeySigner(KEY).address), form
    )

    assert secret not in shown
    assert not [text for text in forms_of(KEY) if text in shown]
