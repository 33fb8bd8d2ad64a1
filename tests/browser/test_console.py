# SPDX-License-Identifier: Apache-2.0
"""A person with a passkey and a real browser: signs in, sees an operation wait, approves it, denies another, replays.

`make test-browser` installs what it needs, and runs it. Pictures of the pages go to build/console.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.approvers import Approvers, approvers, entries_of
from support.console import CHROMIUM, Running, console
from support.servers import eventually
from throwaway_postgres import Postgres

playwright = pytest.importorskip("playwright.sync_api", reason="`make test-browser` installs it")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build/console"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
UPDATE = "UPDATE things SET price = price + 1 WHERE id < 4 -- <b>raise</b>"
PASSKEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")]


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    folder = tmp_path_factory.mktemp("console") / "gate"
    with approvers(folder, server, f"console_{os.getpid()}", approval={"pending": 100, "per_hour": 1000}) as made:
        yield made


@pytest.fixture(scope="module")
def running(desk: Approvers) -> Iterator[Running]:
    with console(desk.place.gate, auditors=["dba"]) as made:
        yield made
        assert "error" not in made.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        made = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield made
        made.close()


class Person:
    """Somebody before a browser, with an authenticator of their own."""

    def __init__(self, browser: Any, running: Running, name: str) -> None:  # noqa: ANN401  playwright is not installed everywhere
        self.url = running.url
        self.faults: list[str] = []
        self.context = browser.new_context(viewport=DESKTOP)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        devices = self.context.new_cdp_session(self.page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": PASSKEY})
        self.page.goto(running.enrolment(name))
        self.page.click("#enrol")
        self.page.click("text=Sign in with it")
        self.page.click("#passkey")
        self.page.wait_for_url(f"{running.url}/")

    def go(self, path: str) -> Any:  # noqa: ANN401  as above
        self.page.goto(self.url + path)
        return self.page

    def picture(self, name: str) -> None:
        """Keep pictures of the page at both widths."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for kind, size in (("phone", PHONE), ("desktop", DESKTOP)):
            self.page.set_viewport_size(size)
            self.page.wait_for_timeout(150)
            assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            self.page.screenshot(path=str(PICTURES / f"{name}-{kind}.png"), full_page=True)


@pytest.fixture
def ana(browser: Any, running: Running) -> Iterator[Person]:  # noqa: ANN401  as above
    made = Person(browser, running, "ana")
    yield made
    made.context.close()
    assert made.faults == [], "no page may break its own content security policy, or fail"


def ends(waiting: subprocess.Popen[str]) -> tuple[str, str]:
    return waiting.communicate(timeout=20)


def test_what_waits_appears_within_a_second_and_goes_on_once_it_is_approved(desk: Approvers, ana: Person) -> None:
    page = ana.go("/approvals")
    assert "Nothing waits" in page.inner_text("#inbox")
    waiting = desk.place.through.start_psql("-c", UPDATE)
    request = desk.waiting()
    page.wait_for_selector(".card.mine", timeout=1500)
    assert page.title().startswith("(1) ")
    ana.picture("inbox")
    page.click(".card .what")
    page.wait_for_selector("#approve")
    assert page.inner_text(".operation") == UPDATE, "the whole operation, its markup shown and not taken"
    assert page.locator(".operation b").count() == 0
    ana.picture("approval")
    assert waiting.poll() is None
    page.click("#approve")
    out, _ = ends(waiting)
    assert out == "UPDATE 3\n"
    page.wait_for_selector('#state[data-state="used"]')
    (voted,) = [one for one in entries_of(desk.place, "control", "approval.voted") if one["request"] == request]
    assert (voted["method"], voted["channel"], voted["vote"]["choice"]) == ("webauthn", "console", "approve")
    assert desk.place.gate.run("ledger", "verify", check=False).returncode == 0


def test_a_denial_needs_a_reason_which_the_client_is_told(desk: Approvers, ana: Person) -> None:
    waiting = desk.place.through.start_psql("-c", UPDATE)
    request = desk.waiting()
    page = ana.go(f"/approvals/{request}")
    page.click("#deny")
    assert "needs a reason" in page.inner_text("#told")
    page.fill("#reason", "not on a Friday")
    page.click("#deny")
    _, err = ends(waiting)
    assert "not on a Friday" in err
    page.wait_for_selector('#state[data-state="denied"]')
    ana.picture("denied")
    assert desk.state(request) == "denied"


def test_who_was_not_verified_has_not_voted(desk: Approvers, ana: Person) -> None:
    waiting = desk.place.through.start_psql("-c", UPDATE)
    request = desk.waiting()
    page = ana.go(f"/approvals/{request}")
    begun = page.evaluate(
        """async (request) => {
            return Passkey.post(`/approvals/${request}/vote/begin`, { choice: 'approve', reason: '' });
        }""",
        request,
    )
    assert begun["options"]["userVerification"] == "required"
    told = page.evaluate(
        """async ([request, challenge]) => {
            const token = document.querySelector('header input[name=csrf]').value;
            const answer = await fetch(`/approvals/${request}/vote/finish`, {
                method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': token },
                body: JSON.stringify({ challenge, credential: { rawId: 'AAAA', response: {} } }) });
            return answer.status;
        }""",
        [request, begun["challenge"]],
    )
    assert told == 422
    ana.faults.clear()  # the browser tells of the status
    assert desk.state(request) == "pending"
    desk.place.gate.run("approvals", "cancel", request)
    ends(waiting)


def test_a_session_is_seen_as_a_picture_and_replayed_with_a_purpose(desk: Approvers, ana: Person) -> None:
    done = desk.place.through.psql("-c", "SELECT 'a needle' AS word", "-c", "DROP TABLE nothing", "-c", "SELECT 1 / 0")
    assert "needle" in done.stdout
    session = eventually(lambda: _ended(desk))
    page = ana.go("/sessions")
    page.wait_for_selector(f'a[href="/sessions/{session}"]')
    ana.picture("sessions")
    page.click(f'a[href="/sessions/{session}"]')
    assert page.locator("svg.picture rect").count() >= 2
    ana.picture("session")
    page.fill("input[name=purpose]", "incident 42")
    page.click("text=Replay >> nth=-1")
    page.wait_for_selector("#player")
    assert "a needle" in page.inner_text("#points")
    shown = page.locator("#points li:visible").count()
    page.click("#back")
    assert page.locator("#points li:visible").count() == shown - 1
    page.select_option("#speed", "100")
    page.click("#play")
    page.wait_for_selector("#points li:last-child", state="visible")
    page.fill("#find", "needle")
    assert page.locator("#points li.found").count() >= 1
    ana.picture("replay")
    (viewed,) = [one for one in entries_of(desk.place, "control", "evidence.viewed") if one["form"] == "replay"]
    assert (viewed["session"], viewed["purpose"], viewed["by"]) == (session, "incident 42", "gatebook:gatebook|ana")


def test_every_page_reads_well_at_both_widths(ana: Person) -> None:
    for name in ("search?agent=helper", "ledger", "targets", "people", "policies", "approvals/history", ""):
        ana.go(f"/{name}")
        ana.picture(name.partition("?")[0].replace("/", "-") or "home")
    page = ana.go("/ledger")
    page.click("text=Verify the whole book")
    page.wait_for_selector("#verification .good", timeout=20_000)
    ana.picture("verified")
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    ana.picture("sign-in")
    page.goto(f"{ana.url}/sessions")
    assert page.url.endswith("/sign-in")


def test_a_link_to_make_a_passkey_serves_once(running: Running, browser: Any) -> None:  # noqa: ANN401  as above
    first, second = Person(browser, running, "bo"), running.enrolment("bo")
    page = first.context.new_page()
    page.goto(second.rpartition("#")[0] + "#" + "x" * 43)
    page.click("#enrol")
    page.wait_for_selector("#told.bad")
    assert "used up" in page.inner_text("#told")
    first.context.close()


def _ended(desk: Approvers) -> str:
    newest = desk.place.gate.sessions()[-1]
    return str(newest["session"]) if newest["ended"] else ""
