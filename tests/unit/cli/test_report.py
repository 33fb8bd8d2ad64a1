# SPDX-License-Identifier: Apache-2.0
"""`gatebook ledger report`: what it prints, and that its exit status says whether everything is accounted for."""

from __future__ import annotations

from support.data_folder import locked
from support.evidence import canonical, end, intent, leaf, moment, outcome, sealed_leaf, start
from support.installation import Installation
from support.notary import seal

from gatebook.vault.journal import JournalWriter

START = leaf("gateway.start", version="0", policy="p", config="c")
STOP = leaf("gateway.stop", cause="told to stop", sessions=0)
BEAT = canonical(
    {"event": "heartbeat", "time": moment(61), "v": 1, "writer": "gate"}
    | {"clock": "unknown", "journal": 6, "sessions": 0}
)
SESSION = [start(), intent(1, 1), outcome(1, 2), end(3), sealed_leaf([], 0)]
FAILURE = leaf("failure", what="the disk \x1b[31m", action="refused")


def write(gate: Installation, *leaves: bytes) -> None:
    with JournalWriter.open(gate.settings.journal_path, "gate", sync="privileged", segment_bytes=1 << 16) as journal:
        for one in leaves:
            journal.append(one, durable=False)


def test_accounts_for_each_writer_in_words(gate: Installation) -> None:
    write(gate, START, *SESSION, BEAT, FAILURE, STOP)
    seal(gate.settings.gate.data)
    write(gate, START, STOP)
    told = gate.run("ledger", "report")
    assert told.status == 0, told.out
    blocks = told.out.split("\n\n")
    assert blocks[0].splitlines()[0].startswith("ledger          10 entries sealed, signed 20")
    assert blocks[0].splitlines()[1].startswith("not sealed yet  2 entries, the oldest for ")
    assert blocks[1].startswith("writer          cli\n")
    assert blocks[2].splitlines() == [
        "writer          gate",
        "entries         11, of which 2 are not sealed yet",
        "first and last  2026-01-01 12:00:00Z to 2026-01-01 12:00:00Z",
        "runs            2 started, 2 stopped, 0 without stop; does not run",
        "heartbeats      1, longest gap 61 s, due every 60 s",
        "clock           not known to be synchronised 2026-01-01 12:01:01Z to 2026-01-01 12:01:01Z (1 heartbeats)",
        "sessions        1 opened, 1 ended, 0 lost, 0 open now, 0 without end",
        "operations      1 intended, 0 refused, 1 outcomes, 0 open now, 0 without outcome",
        "recordings      1 sealed, 0 open now, 0 unsealed",
        "sequence        0 gaps, 0 out of order",
        "failures        1",
    ]
    assert "the disk" in blocks[3]
    assert "\x1b" not in told.out
    assert blocks[-1] == "everything is accounted for\n"


def test_accounts_for_it_in_json(gate: Installation) -> None:
    write(gate, START, *SESSION, BEAT, FAILURE, STOP)
    seal(gate.settings.gate.data)
    told = gate.run("ledger", "report", "--json").json
    assert (told["ok"], told["findings"], told["accounted"], told["more"]) == (True, [], [], 0)
    assert told["ledger"] | {"signed": ""} == {"sealed": 10, "signed": "", "not_sealed": 0, "not_sealed_ms": 0}
    writer = {one["writer"]: one for one in told["writers"]}["gate"]
    counts = writer.pop("counts")
    assert {name: count for name, count in counts.items() if count} == {
        "starts": 1,
        "stops": 1,
        "heartbeats": 1,
        "failures": 1,
        "sessions_opened": 1,
        "sessions_ended": 1,
        "operations_intended": 1,
        "outcomes": 1,
        "recordings_sealed": 1,
    }
    assert {"seq_gaps", "logins_counted", "sessions_lost", "recordings_unsealed"} <= counts.keys()
    assert writer == {
        "writer": "gate",
        "entries": 9,
        "not_sealed": 0,
        "first": moment(),
        "last": moment(),
        "running": False,
        "longest_gap_ms": 61_000,
        "heartbeat_s": 60,
        "clock_unknown": [{"from": moment(61), "to": moment(61), "heartbeats": 1}],
        "newest_failures": [{"time": moment(), "what": "the disk \x1b[31m", "action": "refused"}],
    }


def test_what_nobody_accounts_for_fails_it(gate: Installation) -> None:
    write(gate, START, *SESSION[:2])
    told = gate.run("ledger", "report")
    assert told.status == 1
    assert "1 opened, 0 ended, 0 lost, 0 open now, 1 without end" in told.out
    assert "operations without outcome: 1" in told.out
    assert told.err.startswith("error: 3 findings\nhint: docs/reference/findings.md")
    assert [one["name"] for one in gate.run("ledger", "report", "--json").json["findings"]] == [
        "session_without_end",
        "intent_without_outcome",
        "run_without_stop",
    ]


def test_a_gate_that_lives_but_is_silent_is_told_from_one_that_does_not(gate: Installation) -> None:
    write(gate, START, *SESSION[:2])
    with locked(gate.settings.journal_path / "gate"):
        told = gate.run("ledger", "report", "--json")
    assert told.status == 1
    assert [one["name"] for one in told.json["findings"]] == ["heartbeat_gap"], "since January"
    (writer,) = (one for one in told.json["writers"] if one["writer"] == "gate")
    assert (writer["running"], writer["counts"]["sessions_open"], writer["counts"]["operations_open"]) == (True, 1, 1)


def test_a_restart_is_accounted_for(gate: Installation) -> None:
    lost = leaf("session.lost", session="s_abcdef", cause="gateway lost", open=["s_abcdef.1"], last_seq=1)
    write(gate, START, *SESSION[:2], sealed_leaf([], 0), lost, START, STOP)
    told = gate.run("ledger", "report")
    assert told.status == 0
    accounted = told.out[told.out.index("accounted for by the book itself:") :]
    assert [line.split()[0] for line in accounted.splitlines()[2:5]] == [
        "session_lost",
        "intent_without_outcome",
        "run_without_stop",
    ]


def test_counts_what_is_in_a_time(gate: Installation) -> None:
    write(gate, START, *SESSION, BEAT, STOP)
    told = gate.run("ledger", "report", "--from", "2026-01-01T12:01", "--to", "2026-01-01T12:02", "--json").json
    (writer,) = (one for one in told["writers"] if one["writer"] == "gate")
    assert (told["from"], told["to"]) == ("2026-01-01T12:01:00.000000Z", "2026-01-01T12:02:00.000000Z")
    assert (writer["entries"], writer["counts"]["heartbeats"], writer["counts"]["sessions_opened"]) == (1, 1, 0)
    assert gate.run("ledger", "report", "--from", "noon").status == 2
