"""Reading the settings, once, at the edge: a TOML file with environment overrides.

The file is `--config`, else `SETTLEMENT_NODE_CONFIG`, else `./settlement-node.toml`. A variable
`SETTLEMENT_NODE__DATABASE__URL` overrides `database.url`, and list entries are numbered from zero:
`SETTLEMENT_NODE__CHAINS__0__ENDPOINTS__0__URL`. Relative paths, that of a SQLite file among them,
are relative to the file's folder, so that a node started elsewhere opens the same book.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from settlement_node.config.faults import overlay_environment, parse_tree, read_toml
from settlement_node.config.sections import Settings, SignerSettings

CONFIG_VARIABLE = "SETTLEMENT_NODE_CONFIG"
OVERRIDE_PREFIX = "SETTLEMENT_NODE__"
DEFAULT_FILE = Path("settlement-node.toml")
SIGNER_FILES = [
    name for name, field in SignerSettings.model_fields.items() if field.annotation == Path | None
]


def find_file(given: Path | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """The file to read: the given one, else the variable's, else the default."""
    variable = (os.environ if environment is None else environment).get(CONFIG_VARIABLE)
    return given or (Path(variable) if variable else DEFAULT_FILE)


def load_settings(
    given: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the whole tree; raises ConfigurationInvalid listing every fault."""
    environment = os.environ if environment is None else environment
    path = find_file(given, environment)
    tree = read_toml(
        path,
        if_absent="copy examples/settlement-node.toml, or name another with --config or"
        f" {CONFIG_VARIABLE}",
    )
    overridden = overlay_environment(tree, environment, prefix=OVERRIDE_PREFIX, path=path)
    return with_paths_from(
        parse_tree(Settings, tree, overridden=overridden, path=path), path.resolve().parent
    )


def with_paths_from(settings: Settings, folder: Path) -> Settings:
    """The same settings with relative paths taken from `folder`."""

    def placed(path: Path | None) -> Path | None:
        return None if path is None else folder / path.expanduser()

    url = settings.database.url.get_secret_value()
    scheme, _, file = url.partition(":///")
    if scheme == "sqlite" and file not in ("", ":memory:") and not file.startswith("/"):
        url = f"sqlite:///{folder / file}"
    return settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"url": SecretStr(url)}),
            "signers": tuple(
                signer.model_copy(
                    update={name: placed(getattr(signer, name)) for name in SIGNER_FILES}
                )
                for signer in settings.signers
            ),
        }
    )
