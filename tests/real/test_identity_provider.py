# SPDX-License-Identifier: Apache-2.0
"""A certified OpenID provider gives a token, and stock psql shows it to the gate. `make idp` installs the provider."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.issuers import LocalIssuer
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import Key
from throwaway_postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".venv/idp"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "node_modules/oidc-provider").exists(),
    reason="needs node and `make idp`",
)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider that runs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = ["node", str(ROOT / "tests/support/idp/provider.mjs"), str(port)]
    process = subprocess.Popen(
        program,
        cwd=PACKAGES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield f"http://localhost:{port}"
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="module")
def gate(server: Postgres, provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "provider")
    place = make_place(tmp_path_factory.mktemp("provider") / "gate", server, "provider")
    with place.gate.config.open("a") as file:
        file.write(LocalIssuer(provider).toml(groups_claim=["groups"]))
    place.gate.serve()
    yield place
    place.gate.stop()


def token_of(provider: str) -> str:
    """Ask for a token as the client `bot`."""
    asked = urllib.parse.urlencode({"grant_type": "client_credentials", "resource": "urn:gatebook"}).encode()
    request = urllib.request.Request(f"{provider}/token", asked)
    request.add_header("Authorization", "Basic " + b64encode(b"bot:of%20the%20bot").decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        told = json.load(answer)
    assert isinstance(told["access_token"], str)
    return str(told["access_token"])


def test_an_agent_logs_in_with_the_token_that_its_provider_gave(gate: Place, provider: str) -> None:
    way = gate.through_with(Key("", token_of(provider), "bot"))
    done = eventually(lambda: way.psql("-c", "SELECT 'in'"))
    assert (done.stdout, done.stderr) == ("in\n", "")


def test_a_token_that_was_changed_is_refused(gate: Place, provider: str) -> None:
    header, claims, signature = token_of(provider).split(".")
    other = token_of(provider).split(".")[2]
    assert other != signature
    done = gate.through_with(Key("", f"{header}.{claims}.{other}", "bot")).psql("-c", "SELECT 1")
    assert "does not accept this login" in done.stderr
