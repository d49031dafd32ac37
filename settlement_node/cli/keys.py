"""`keys`: making keys and reading their addresses. A key itself is never printed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from settlement_node.cli.output import JsonOption, emit, reports_errors
from settlement_node.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Signing keys in encrypted keystores.")

PASSWORD_LENGTH_MIN = 12
KeystoreArgument = Annotated[Path, typer.Argument(help="The keystore file.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the keystore's password.")
]
PasswordEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the keystore's password.")
]


@app.command("new")
@reports_errors
def new_key(
    keystore: KeystoreArgument,
    password_file: PasswordFile = None,
    password_env: PasswordEnv = None,
    json_output: JsonOption = False,
) -> None:
    """Make a new key in an encrypted keystore of mode 0600; an existing file is never touched.

    Without a password option the password is asked for.
    """
    from settlement_node.chain.signers.local import KeySigner, encrypt_key

    if keystore.exists():
        raise InvalidInput(f"{keystore} is there already; choose another name", field="keystore")
    password = _new_password(password_file, password_env)
    private_key = secrets.token_bytes(32)
    address = KeySigner(private_key).address
    content = json.dumps(encrypt_key(private_key, password))
    _write_once(keystore, content)

    def human(console: Console) -> None:
        console.print(f"{address}  in {keystore}")
        console.print("Back the file and its password up, apart from each other.")

    emit({"address": address, "keystore": str(keystore)}, json_output=json_output, human=human)


@app.command("address")
@reports_errors
def show_address(
    keystore: Annotated[Path | None, typer.Argument(help="A keystore file.")] = None,
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds a key in hex instead.")
    ] = None,
    password_file: PasswordFile = None,
    password_env: PasswordEnv = None,
    json_output: JsonOption = False,
) -> None:
    """Say the address of a key. The keystore is opened, so this also proves the password."""
    from settlement_node.chain.signers.local import KeySigner, KeystoreSigner

    if (keystore is None) == (key_env is None):
        raise InvalidInput("give either a keystore file or --key-env", field="keystore")
    if key_env is not None:
        address = KeySigner.from_environment(key_env).address
    else:
        assert keystore is not None
        environment: Mapping[str, str] = os.environ
        if password_file is None and password_env is None:
            password_env = "asked"
            environment = {password_env: typer.prompt("Password", hide_input=True)}
        address = KeystoreSigner.from_keystore(
            keystore,
            password_path=password_file,
            password_variable=password_env,
            environment=environment,
        ).address
    emit({"address": address}, json_output=json_output, human=lambda c: c.print(address))


def _new_password(path: Path | None, variable: str | None) -> str:
    from settlement_node.chain.signers.local import read_password

    if path is None and variable is None:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = read_password(path, variable)
    if len(password) < PASSWORD_LENGTH_MIN:
        raise InvalidInput(
            f"the password must have at least {PASSWORD_LENGTH_MIN} characters",
            field="password_file",
        )
    return password


def _write_once(path: Path, content: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}", field="keystore"
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
