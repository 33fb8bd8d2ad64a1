# SPDX-License-Identifier: Apache-2.0
"""Policies, configuration and certificate taken up by a gate that runs; sessions stay, and what is wrong is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import PERMIT_ALL
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

NO_CARDS = '@id("no-cards")\nforbid (principal, action, resource == Relation::"work.reload.public.cards");\n'


@pytest.fixture
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server.psql("DROP DATABASE IF EXISTS reload")
    make_database(server, "reload")
    made = make_place(tmp_path_factory.mktemp("reload") / "gate", server, "reload")
    made.ask("CREATE TABLE cards (number text); INSERT INTO cards VALUES ('4111')")
    made.gate.serve()
    yield made
    made.gate.stop()


@contextmanager
def session(place: Place) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(place.through.dsn, autocommit=True) as connection:
        yield connection


def entries(place: Place, *events: str) -> list[dict[str, Any]]:
    reader = JournalReader(place.gate.data / "journal" / "gatebook", Faults())
    leaves = [json.loads(record.leaf) for record in reader.read()]
    return [leaf for leaf in leaves if leaf["event"] in events]


def reload(place: Place, *, good: bool = True) -> dict[str, Any]:
    done = place.gate.run("reload", "--json", check=False)
    assert (done.returncode == 0) is good, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_pg_12_a_kept_verdict_is_void_after_a_reload_in_the_same_session(place: Place) -> None:
    with session(place) as connection:
        for _ in range(3):
            assert connection.execute("SELECT number FROM cards").fetchall() == [("4111",)]
        (loaded,) = entries(place, "policy.loaded")
        place.gate.write_policies({"all.cedar": PERMIT_ALL, "cards.cedar": NO_CARDS})
        assert reload(place) == {"result": "done", "changed": ["policy"], "reason": ""}
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no-cards"):
            connection.execute("SELECT number FROM cards")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    after = entries(place, "policy.loaded")[-1]
    assert after["previous"] == loaded["hash"]
    assert after["files"] == ["all.cedar", "cards.cedar"]
    (refused,) = entries(place, "operation.refused")
    assert refused["decision"]["policy_hash"] == after["hash"]


def test_pg_12_a_statement_prepared_before_a_reload_is_judged_again(place: Place) -> None:
    with session(place) as connection:
        connection.execute("SELECT number FROM cards", prepare=True)
        connection.execute("SELECT number FROM cards", prepare=True)
        place.gate.write_policies({"all.cedar": PERMIT_ALL, "cards.cedar": NO_CARDS})
        reload(place)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no-cards"):
            connection.execute("SELECT number FROM cards", prepare=True)


def test_a_bad_policy_keeps_the_old_ones_and_is_told_with_file_line_and_reason(place: Place) -> None:
    with session(place) as connection:
        place.gate.write_policies({"all.cedar": PERMIT_ALL, "bad.cedar": "\n\npermit (principal, action, thing);\n"})
        answer = reload(place, good=False)
        assert "bad.cedar:3: " in answer["reason"]
        assert connection.execute("SELECT number FROM cards").fetchall() == [("4111",)]
    assert place.through.psql("-c", "SELECT 1").stdout == "1\n"
    (entry,) = entries(place, "gateway.reload")
    assert entry["result"] == "refused"
    assert entry["reason"] == answer["reason"]
    assert len(entries(place, "policy.loaded")) == 1


def test_sighup_does_the_same(place: Place) -> None:
    place.gate.config.write_text(place.gate.config.read_text() + "\n[limits]\nidle_s = 100\nzzz = 1\n")
    assert place.gate.process is not None
    os.kill(place.gate.process.pid, signal.SIGHUP)
    (entry,) = eventually(lambda: entries(place, "gateway.reload"))
    assert "`limits.zzz` is not a setting" in entry["reason"]
    assert entry["reason"].startswith("gatebook.toml:")
    place.gate.config.write_text(place.gate.config.read_text().replace("zzz = 1\n", ""))
    os.kill(place.gate.process.pid, signal.SIGHUP)
    assert eventually(lambda: entries(place, "gateway.reload")[1:])[0]["changed"] == ["limits"]
    assert place.through.psql("-c", "SELECT 1").stdout == "1\n"


def test_a_configuration_that_is_wrong_is_refused_by_the_gate_and_entered(place: Place) -> None:
    place.gate.config.write_text(place.gate.config.read_text() + '\n[limits]\nidle_s = "long"\n')
    answer = reload(place, good=False)
    assert "`limits.idle_s` must be a whole number" in answer["reason"]
    assert entries(place, "gateway.reload")[0]["reason"] == answer["reason"]


def test_a_setting_that_cannot_change_is_named_and_nothing_changes(place: Place) -> None:
    place.gate.set("gate", sync="every", threads=3)
    place.gate.write_policies({"none.cedar": NO_CARDS})
    answer = reload(place, good=False)
    assert "`gate.threads`, `gate.sync` change, which a running gate cannot take up" in answer["reason"]
    assert place.through.psql("-c", "SELECT 1").stdout == "1\n"


def test_a_session_whose_target_is_gone_ends_and_others_stay(place: Place) -> None:
    config = place.gate.config.read_text()
    second = config[config.index("\n[[target]]") :].replace('name = "work"', 'name = "second"')
    place.gate.config.write_text(config + second)
    assert reload(place)["changed"] == ["targets"]
    with (
        session(place) as first,
        psycopg.connect(place.through_with(dbname="second").dsn, autocommit=True) as other,
    ):
        assert other.execute("SELECT 1").fetchone() == (1,)
        place.gate.config.write_text(config)
        reload(place)
        with pytest.raises(psycopg.OperationalError, match="the session was ended: revoked"):
            other.execute("SELECT 1")
        assert first.execute("SELECT 1").fetchone() == (1,)
    ends = entries(place, "session.end")
    assert [end["note"] for end in ends if end["cause"] == "revoked"] == ["target second is gone"]


def test_a_new_certificate_is_shown_to_new_connections_and_a_wrong_one_refused(place: Place) -> None:
    with session(place) as connection:
        before = shown(place)
        folder = place.gate.folder
        old = {name: (folder / name).read_bytes() for name in ("server.crt", "server.key", "root.crt")}
        from throwaway_certificate import write_certificates

        (folder / "new").mkdir()
        made = write_certificates(folder / "new")
        (folder / "server.crt").write_bytes(made.certificate.read_bytes())
        answer = reload(place, good=False)  # the key is still that of the old one
        assert answer["reason"].startswith("server.crt: ")
        assert shown(place) == before
        (folder / "server.key").write_bytes(made.key.read_bytes())
        assert reload(place)["changed"] == ["certificate"]
        assert shown(place) != before
        assert connection.execute("SELECT 1").fetchone() == (1,)
        for name, content in old.items():
            (folder / name).write_bytes(content)


def shown(place: Place) -> bytes:
    """The certificate that a client is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", place.gate.port)) as plain:
        plain.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True) or b""


def test_nothing_changed_is_told_and_a_gate_that_does_not_run_too(place: Place) -> None:
    assert reload(place)["changed"] == []
    place.gate.stop()
    done = place.gate.run("reload", check=False)
    assert done.returncode == 1
    assert "no gate runs on this data folder" in done.stderr
