# SPDX-License-Identifier: Apache-2.0
"""`gatebook export`: what it shows, and the exit status of each end."""

from __future__ import annotations

import json

import pytest
from support.installation import Installation
from support.ledger import ORIGIN
from support.notary import seal, write_entries


@pytest.fixture
def export(gate: Installation) -> Installation:
    """An installation with an export to a file."""
    added = f'\n[ledger]\norigin = "{ORIGIN}"\n\n[[export]]\nname = "siem"\nurl = "file:book.jsonl"\n'
    gate.config.write_text(gate.config.read_text() + added)
    return gate


def test_what_is_sealed_is_sent_once_and_shown(export: Installation) -> None:
    told = export.run("export", "show", "--json").json
    assert told == [
        {
            "name": "siem",
            "next": 0,
            "behind_entries": 0,
            "behind_s": 0,
            "acknowledged": "",
            "error": "",
            "error_at": "",
            "alarm": False,
            "runs": False,
            "refused": "",
        }
    ]
    write_entries(export.settings.gate.data, "gate", 5)
    size = seal(export.settings.gate.data)
    assert export.run("export", "show", "--json").json[0]["behind_entries"] == size
    done = export.run("export", "once", "siem")
    assert (done.status, done.err.splitlines()[-1]) == (0, f"{size} entries are acknowledged")
    lines = (export.folder / "book.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(size))
    shown = export.run("export", "show").out.splitlines()
    assert shown[0].split() == ["NAME", "NEXT", "BEHIND", "FOR", "ACKNOWLEDGED", "STATE"]
    assert shown[1].split()[:3] == ["siem", str(size), "0"]
    assert export.run("export", "show", "--json").json[0]["acknowledged"].endswith("Z")


def test_an_export_that_is_not_there_is_named(export: Installation) -> None:
    done = export.run("export", "once", "other")
    assert done.status == 1
    assert "error: there is no export `other`" in done.err
    assert "known: `siem`" in done.err


def test_what_was_not_acknowledged_is_exit_status_1_and_a_refusal_3(export: Installation) -> None:
    write_entries(export.settings.gate.data, "gate", 5)
    seal(export.settings.gate.data)
    (export.folder / "book.jsonl").mkdir()
    done = export.run("export", "once", "siem")
    assert done.status == 1
    assert "are not acknowledged: the file cannot be written: is a directory" in done.err
    (export.folder / "data" / "export" / "siem.cursor").write_bytes(b"{}\n")
    done = export.run("export", "once", "siem")
    assert done.status == 3
    assert "error: export_cursor: " in done.err
    assert "of another version" in export.run("export", "show").out
