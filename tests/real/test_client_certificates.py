# SPDX-License-Identifier: Apache-2.0
"""Client certificates in place of a password, with stock libpq: who gets in, who is refused where, and when it ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.certificates import SERVER, Made, Maker, hosts, name_of, spiffe
from support.servers import Place, Way, eventually, make_database, make_place
from throwaway_gate import Key
from throwaway_postgres import Postgres

LONG_AGO = timedelta(days=3)
ID = "spiffe://prod.example/agents/order-bot"
AUTHORITY = """
[[certificate_authority]]
name = "{name}"
kind = "agent"
roots = "{name}.pem"
{subject}
groups = ["agents"]
"""
NOT_GOOD = "FATAL:  gatebook: the gate does not accept this login"


@dataclass(frozen=True)
class Site:
    """A gate that trusts two authorities: of workloads by SPIFFE ID, of machines by host name."""

    place: Place
    workloads: Maker
    machines: Maker
    folder: Path

    def way(self, made: Made, user: str = "order-bot", password: str = "", **words: object) -> Way:
        shown = made.write(self.folder, "client")
        return self.place.through_with(Key("", password, user), **shown, **words)

    def entries(self, event: str) -> list[dict[str, Any]]:
        return self.place.entries(event)

    def refused(self, made: Made, user: str) -> str:
        """Fail behind the handshake, seldom under one name, as that is slowed; return the check that the book names."""
        before = len(self.entries("authn"))
        done = self.way(made, user).psql("-c", "SELECT 1")
        assert done.returncode == 2
        assert NOT_GOOD in done.stderr
        (attempt,) = eventually(lambda: self.entries("authn")[before:])
        assert attempt["result"] == "refused"
        return str(attempt["failed"])

    def refused_in_handshake(self, before: int) -> str:
        """The reason of the one attempt behind the first `before`, which failed before anything was asked for."""
        (attempt,) = eventually(lambda: self.entries("authn")[before:])
        assert (attempt["result"], attempt["failed"]) == ("refused", "certificate")
        assert attempt["checks"] == [{"name": "certificate", "passed": False}]
        assert attempt["claimed"] == {"database": "", "user": ""}
        assert attempt["source"]["ip"] == "127.0.0.1"
        return str(attempt["reason"])

    def reload(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.place.gate.run("reload", "--json").stdout)
        return answer


@pytest.fixture(scope="module")
def site(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    make_database(server, "certified")
    place = make_place(tmp_path_factory.mktemp("certified") / "gate", server, "certified")
    made = Site(place, Maker.root("workloads"), Maker.root("machines"), tmp_path_factory.mktemp("clients"))
    (place.gate.folder / "workloads.pem").write_bytes(made.workloads.pem)
    (place.gate.folder / "machines.pem").write_bytes(made.machines.pem)
    with place.gate.config.open("a") as file:
        file.write(AUTHORITY.format(name="workloads", subject='subject = "spiffe"\ntrust_domain = "prod.example"'))
        file.write(AUTHORITY.format(name="machines", subject='subject = "dns"'))
    place.gate.serve()
    yield made
    place.gate.stop()


def test_a_certificate_lets_its_spiffe_id_in_without_a_password_and_the_book_says_how(site: Site) -> None:
    made = site.workloads.issue(names=spiffe(ID))
    assert site.way(made).psql("-c", "SELECT 1").stdout == "1\n"
    attempt = site.entries("authn")[-1]
    assert attempt["result"] == "accepted"
    assert attempt["identity"]["agent"] == {"iss": "spiffe://prod.example", "sub": ID}
    assert attempt["identity"]["method"] == "certificate"
    assert attempt["identity"]["groups"] == ["agents"]
    assert attempt["credential"] == attempt["source"]["tls"]["peer"]
    assert attempt["certificate"]["authority"] == "workloads"
    assert attempt["certificate"]["serial"] == f"{made.certificate.serial_number:x}"
    assert [check["name"] for check in attempt["checks"]] == [
        *["size", "form", "authority", "validity", "usage", "constraints", "names", "domain", "lifetime"],
        *["user", "target", "role", "policy"],
    ]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_psycopg_logs_in_with_one_of_either_authority_also_below_an_intermediate(site: Site, version: str) -> None:
    words = {"ssl_min_protocol_version": version, "ssl_max_protocol_version": version}
    for made, user in (
        (site.workloads.below().issue(names=spiffe(ID)), ID),
        (site.machines.issue(names=hosts("bot.agents.example")), "bot.agents.example"),
    ):
        with psycopg.connect(site.way(made, user, **words).dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_without_certificate_logs_in_by_its_key(site: Site) -> None:
    assert site.place.through.psql("-c", "SELECT 1").stdout == "1\n"
    assert site.entries("authn")[-1]["identity"]["method"] == "api_key"


def test_a_good_key_does_not_help_a_certificate_that_is_not_good(site: Site) -> None:
    made = site.workloads.issue(names=hosts("bot.agents.example"))
    key = site.place.key
    done = site.way(made, key.agent, key.token).psql("-c", "SELECT 1")
    assert NOT_GOOD in done.stderr


@pytest.mark.parametrize(
    ("made", "words", "reason"),
    [
        (lambda _: Maker.root("stranger").issue(names=spiffe(ID)), "unknown ca", "authority"),
        (lambda _: Maker.root("workloads").issue(names=spiffe(ID)), "decrypt error", "signature"),
        (lambda site: site.workloads.issue(names=spiffe(ID), early=LONG_AGO), "certificate expired", "expired"),
        (lambda site: site.workloads.issue(names=spiffe(ID), early=-LONG_AGO), "certificate expired", "not yet valid"),
        (lambda site: site.workloads.issue(names=spiffe(ID), purposes=SERVER), "unsupported certificate", "purpose"),
        (lambda site: Made(site.workloads.certificate, site.workloads.key), "certificate unknown", "other"),
    ],
    ids=["stranger", "same name", "expired", "not yet", "server", "authority"],
)
def test_a_certificate_that_nobody_vouches_for_is_refused_in_the_handshake_and_the_book_says_why(
    site: Site,
    made: Any,  # noqa: ANN401  a maker of certificates
    words: str,
    reason: str,
) -> None:
    before = len(site.entries("authn"))
    done = site.way(made(site)).psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert words in done.stderr
    assert "gatebook" not in done.stderr
    assert site.refused_in_handshake(before) == reason


@pytest.mark.parametrize(
    ("made", "failed"),
    [
        (lambda site: site.machines.issue(names=spiffe(ID)), "names"),
        (lambda site: site.workloads.issue(names=spiffe(ID, ID + "-2")), "names"),
        (lambda site: site.workloads.issue(), "names"),
        (lambda site: site.workloads.issue(names=spiffe("spiffe://other.example/agents/order-bot")), "domain"),
        (lambda site: site.workloads.issue(names=spiffe(ID), purposes=()), "usage"),
        (lambda site: site.workloads.issue(names=spiffe(ID), days=367, early=timedelta(0)), "lifetime"),
        (lambda site: site.workloads.issue(names=spiffe(ID)), "user"),
    ],
)
def test_a_name_that_its_authority_may_not_give_is_refused_and_the_check_named(
    site: Site,
    made: Any,  # noqa: ANN401  a maker of certificates
    failed: str,
) -> None:
    assert site.refused(made(site), f"bot-{failed}") == failed


def test_id_02_a_session_ends_with_its_certificate_and_the_book_says_expired(site: Site) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=4)
    made = site.workloads.issue(names=spiffe(ID), now=ends - timedelta(days=1), early=timedelta(0))
    with psycopg.connect(site.way(made).dsn, autocommit=True) as connection:
        session = site.entries("session.start")[-1]["session"]
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            _use_until_it_ends(connection)
    end = eventually(lambda: [leaf for leaf in site.entries("session.end") if leaf["session"] == session])
    assert end[0]["cause"] == "expired"


def test_id_02_a_session_ends_when_its_authority_is_taken_away_and_others_stay(site: Site) -> None:
    machine = site.machines.issue(name_of("x"), hosts("bot.agents.example"))
    workload = site.workloads.issue(names=spiffe(ID))
    text = site.place.gate.config.read_text()
    less = text.replace(AUTHORITY.format(name="machines", subject='subject = "dns"'), "")
    assert less != text
    with (
        psycopg.connect(site.way(machine, "bot.agents.example").dsn, autocommit=True) as gone,
        psycopg.connect(site.way(workload).dsn, autocommit=True) as staying,
    ):
        site.place.gate.config.write_text(less)
        assert site.reload()["changed"] == ["authorities"]
        with pytest.raises(psycopg.OperationalError):
            _use_until_it_ends(gone)
        assert staying.execute("SELECT 1").fetchone() == (1,)
    ended = eventually(lambda: [leaf for leaf in site.entries("session.end") if leaf["cause"] == "revoked"])
    assert ended[0]["note"] == "authority x509:machines is gone, or another than it was"
    assert "unknown ca" in site.way(machine, "bot.agents.example").psql("-c", "SELECT 1").stderr
    site.place.gate.config.write_text(text)
    site.reload()
    assert site.way(machine, "bot.agents.example").psql("-c", "SELECT 1").stdout == "1\n"


def test_where_certificates_are_required_a_key_alone_does_not_reach_the_login_and_cancelling_works(site: Site) -> None:
    text = site.place.gate.config.read_text()
    site.place.gate.set("gate", client_certificates="required")
    assert site.reload()["result"] == "done"
    before = len(site.entries("authn"))
    done = site.place.through.psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert "certificate required" in done.stderr
    assert site.refused_in_handshake(before) == "missing"
    told = site.place.gate.run("sessions", "logins", "--failed", "--last", "1").stdout
    assert "certificate: missing" in told
    with psycopg.connect(site.way(site.workloads.issue(names=spiffe(ID))).dsn, autocommit=True) as connection:
        threading.Timer(0.5, connection.cancel).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")
    site.place.gate.config.write_text(text)
    site.reload()
    assert site.place.through.psql("-c", "SELECT 1").stdout == "1\n"


def _use_until_it_ends(connection: psycopg.Connection[Any]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        connection.execute("SELECT 1")
        time.sleep(0.2)
