# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to the API: no answer says that the console failed, and nobody is let in by how they ask.

schemathesis makes requests from the description, right ones and wrong ones, as nobody, as an agent, and as a person who
may do everything; the console is a process that serves.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.console import Running, console
from support.servers import Place, make_database, make_place
from throwaway_postgres import Postgres

from gatebook.control.access import ACCESS, Who
from gatebook.control.doorkeeper import csrf_of
from gatebook.model.principal import Subject
from gatebook.store.console import WebSession, open_console

EXAMPLES = 15
SECRET = "of-a-web-session-of-the-tests-" + "x" * 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    name = f"control_api_{os.getpid()}"
    make_database(server, name)
    made = make_place(tmp_path_factory.mktemp("control_api") / "gate", server, name)
    made.gate.serve()
    made.through.psql("-c", "SELECT 1")
    yield made
    made.gate.stop()


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Running]:
    rates = dict.fromkeys(("requests_per_minute", "address_requests_per_minute"), 100_000)
    with console(place.gate, auditors=["dba"], admins=["dba"], sign_ins_per_minute=10_000, **rates) as made:
        place.gate.run("person", "add", "ana", "--group", "dba")
        at = datetime.now(UTC)
        store = open_console(place.gate.data / "console.sqlite")
        person = Subject("gatebook:gatebook", "ana")
        store.add_session(SECRET, WebSession(person, (), "passkey", "x", at, at, at + timedelta(hours=1)))
        store.close()
        yield made
        assert "error" not in made.log.read_text(), made.log.read_text()[-5000:]


def run_schemathesis(running: Running, folder: Path, *headers: str, more: tuple[str, ...] = ()) -> str:
    """Return what it said; AssertionError if it found something."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{running.url}/api/openapi.json", "--max-examples", str(EXAMPLES), "--seed", "7"]
    command += ["--exclude-path", "/api/v1/approvals/events", "--request-timeout", "30", "--no-color", *more]
    for header in headers:
        command += ["--header", header]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_nothing_that_a_person_who_may_do_all_sends_makes_it_fail(running: Running, tmp_path: Path) -> None:
    headers = (f"Cookie: gatebook={SECRET}", f"X-CSRF-Token: {csrf_of(SECRET)}", f"Origin: {running.url}")
    checks = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
    run_schemathesis(running, tmp_path, *headers, more=("--checks", checks))


def test_nothing_that_an_agent_sends_makes_it_fail(running: Running, place: Place, tmp_path: Path) -> None:
    run_schemathesis(
        running, tmp_path, f"Authorization: Bearer {place.key.token}", more=("--checks", "not_a_server_error")
    )


def test_nobody_is_let_in_however_they_ask(running: Running, tmp_path: Path) -> None:
    hook = tmp_path / "hooks.py"
    hook.write_text(
        "import schemathesis\n\n\n"
        "@schemathesis.check\n"
        "def is_refused(ctx, response, case):\n"
        "    assert response.status_code in (400, 401, 403, 404, 405), response.status_code\n"
    )
    program = {"SCHEMATHESIS_HOOKS": "hooks"}
    os.environ.update(program)
    try:
        run_schemathesis(running, tmp_path, more=("--checks", "not_a_server_error,is_refused"))
    finally:
        for name in program:
            os.environ.pop(name)


def test_the_description_tells_who_may_use_each_route_and_tells_all_of_them(running: Running) -> None:
    status, told = running.ask("/api/openapi.json")
    assert status == 200
    described = {
        f"{method.upper()} {path}": set(operation["x-access"])
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }
    wanted = {
        route: {str(who) for who in access}
        for route, access in ACCESS.items()
        if " /api/v1/" in route and access != {Who.ANYBODY}
    }
    assert described == wanted


def test_the_stream_of_events_tells_a_request_as_it_comes(running: Running, place: Place) -> None:
    import urllib.request

    asked = urllib.request.Request(f"{running.url}/api/v1/approvals/events")
    asked.add_header("authorization", f"Bearer {place.key.token}")
    with urllib.request.urlopen(asked, timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.readline() == b": open\n"
