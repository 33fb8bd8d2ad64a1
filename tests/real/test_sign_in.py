# SPDX-License-Identifier: Apache-2.0
"""A certified OpenID provider says who somebody is, and the console takes its word for this one sign-in."""

from __future__ import annotations

import http.cookiejar
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO

import pytest
from support.approvers import entries_of
from support.console import Running, console
from support.servers import Place, make_database, make_place
from throwaway_postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".venv/idp"
SECRET = "of the console: +/%"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "node_modules/oidc-provider").exists(),
    reason="needs node and `make idp`",
)


@pytest.fixture(scope="module")
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Place:
    make_database(server, "sign_in")
    return make_place(tmp_path_factory.mktemp("sign_in") / "gate", server, "sign_in")


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as probe, socket.create_server(("127.0.0.1", 0)) as other:
        port, ours = probe.getsockname()[1], other.getsockname()[1]
    back = f"http://localhost:{ours}/sign-in/idp/back"
    program = ["node", str(ROOT / "tests/support/idp/provider.mjs"), str(port), back]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        program, cwd=PACKAGES, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    secret = place.gate.folder / "console.secret"
    secret.write_text(SECRET)
    with place.gate.config.open("a") as file:
        file.write(
            f'\n[[control.issuer]]\nname = "idp"\nurl = "http://localhost:{port}"\nclient_id = "console"\n'
            'client_secret = "file:console.secret"\ngroups_claim = ["groups"]\ninsecure_loopback = true\n'
        )
    with console(place.gate, port=ours, auditors=["auditors"]) as made:
        yield made
    process.terminate()
    process.wait(10)
    process.stdout.close()


@dataclass
class Browser:
    """A browser without pictures: it keeps cookies and follows where it is sent."""

    cookies: http.cookiejar.CookieJar = field(default_factory=http.cookiejar.CookieJar)

    def get(self, url: str) -> HTTPResponse:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        try:
            answer: HTTPResponse = opener.open(url, timeout=20)
        except urllib.error.HTTPError as fault:
            return fault  # type: ignore[return-value]  # it is read like an answer
        return answer

    def sign_in(self, running: Running, name: str) -> HTTPResponse:
        """Go to the provider, fill its form in, and come back."""
        with self.get(f"{running.url}/sign-in/idp") as form:
            assert b'name="login"' in form.read()
            there = form.url
        return self.get(f"{there}?{urllib.parse.urlencode({'login': name})}")


def test_a_person_signs_in_with_their_provider_and_is_what_its_groups_say(running: Running, place: Place) -> None:
    browser = Browser()
    with browser.sign_in(running, "petra") as home:
        assert home.url == f"{running.url}/"
        assert b"petra" in home.read()
    with browser.get(f"{running.url}/search") as page:
        assert page.status == 200, "auditors, by the claim"
    entry = entries_of(place, "control", "authn")[-1]
    assert entry["result"] == "accepted"
    assert entry["identity"]["person"]["sub"] == "petra"
    assert entry["identity"]["method"] == "oidc"
    assert [one["name"] for one in entry["checks"]][:1] == ["idp"]


def test_an_answer_that_another_browser_began_signs_nobody_in(running: Running, place: Place) -> None:
    victim, attacker = Browser(), Browser()
    with attacker.get(f"{running.url}/sign-in/idp") as form:
        there = form.url

    class Stop(urllib.request.HTTPRedirectHandler):
        """Follows the provider, and stays before it comes back to us."""

        def redirect_request(  # noqa: PLR0917  the base has them so
            self,
            req: urllib.request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: HTTPMessage,
            newurl: str,
        ) -> urllib.request.Request | None:
            if newurl.startswith(running.url):
                return None
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(attacker.cookies), Stop)
    with pytest.raises(urllib.error.HTTPError) as stopped:
        opener.open(f"{there}?login=mallory", timeout=20)
    back = stopped.value.headers["location"]
    stopped.value.close()
    assert back.startswith(f"{running.url}/sign-in/idp/back?")
    with victim.get(back) as page:
        assert page.status == 403
    assert not [cookie for cookie in victim.cookies if cookie.name == "gatebook" and cookie.value]
    assert entries_of(place, "control", "authn")[-1]["failed"] == "state"


@pytest.mark.parametrize("query", ["", "state=x&code=y", "state=x&error=access_denied"])
def test_an_answer_that_nobody_asked_for_is_refused(running: Running, query: str) -> None:
    with Browser().get(f"{running.url}/sign-in/idp/back?{query}") as page:
        assert page.status == 403
        assert b"not accepted" in page.read()


def test_a_provider_that_is_not_there_is_none(running: Running) -> None:
    with Browser().get(f"{running.url}/sign-in/other") as page:
        assert page.status == 404
