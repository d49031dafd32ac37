"""README's quickstart, line by line, in one shell, against a real anvil."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.outputs import check_outputs
from tests.docs.pages import DELIMITER, blocks_of, fresh_clone, run_script

# Not left to the system: a port that it gave and that is free again it may give to somebody else
# before the script listens there. From these it gives none.
FREE_PORTS = """
import random, socket
found = []
while len(found) < 2:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port := random.randrange(10_000, 30_000)))
        except OSError:
            continue
    found += [port] if port not in found else []
print(*found)
"""


def free_ports() -> list[str]:
    """Two ports of this machine that nobody listens at; looked for in a process of its own, since
    a test's sockets are blocked."""
    answer = subprocess.run(
        [sys.executable, "-c", FREE_PORTS], capture_output=True, text=True, check=True
    )
    return answer.stdout.split()


def with_ports(text: str, ports: list[str]) -> str:
    """The quickstart's ports replaced, so that runs beside each other do not meet."""
    chain_port, api_port = ports
    moved = text.replace("anvil --block-time", f"anvil --port {chain_port} --block-time")
    return moved.replace(":8545", f":{chain_port}").replace(":8471", f":{api_port}")


@pytest.mark.anvil
@pytest.mark.slow
def test_readme__quickstart__settles_the_example_orders(tmp_path: Path) -> None:
    folder = fresh_clone(tmp_path)
    ports = free_ports()
    settings = folder / "examples" / "settlement-node.toml"
    moved = with_ports(settings.read_text(), ports).replace("port = 8471", f"port = {ports[1]}")
    settings.write_text(moved)
    run = [b for b in blocks_of("README.md") if (b.kind, b.name) == ("run", "quickstart")]
    script = "".join(with_ports(b.text, ports) + f"echo; echo '{DELIMITER}'\n" for b in run)
    # A busy machine may need more than two seconds for the first event.
    assert script.count("--max-time 2 ") == 1
    script = script.replace("--max-time 2 ", "--max-time 10 ")

    output = run_script(script, folder, seconds=400)

    check_outputs("README.md", "quickstart", output)
