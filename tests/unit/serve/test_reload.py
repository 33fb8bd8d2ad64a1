# SPDX-License-Identifier: Apache-2.0
"""What a new configuration changes, what it cannot change, and which sessions still fit. tests/real reloads gates."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from support.certificates import Maker
from unit.serve.conftest import Folder

from gatebook.config import ConfigFault
from gatebook.identity.authority import Authority, NameKind
from gatebook.identity.issuer import Issuer, NoIssuers
from gatebook.model.ids import SessionId
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.serve.reload import PID_FILE, changes, fit, read_anew, remove_pid, write_loaded, write_pid
from gatebook.serve.rules import Regime
from gatebook.session.gate import Session
from gatebook.vault.journal import JournalWriter

BOT = Subject("https://issuer.example", "bot")
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass
class Journal:
    """A journal that keeps leaves."""

    leaves: list[dict[str, object]] = field(default_factory=list)

    def append(self, leaf: bytes) -> int:
        self.leaves.append(json.loads(leaf))
        return len(self.leaves)


class OneIssuer(NoIssuers):
    """Knows the issuer of the bot."""

    def find_issuer(self, url: str) -> Issuer | None:
        return cast("Issuer", object()) if url == BOT.issuer else None


def session_of(found: Regime, method: str = "api_key") -> Session:
    principal = Principal(PrincipalKind.AGENT, BOT, ("agents",), None, (BOT,), method, "c")
    target = found.rules.targets["shop"]
    return Session(SessionId("s_1"), principal, target, target.roles[0], "shop", tls=True)


def test_names_the_parts_that_are_different(files: Folder) -> None:
    old = files.read()
    assert changes(old, files.read()) == ()
    (files.path / "policies" / "all.cedar").write_text("permit (principal, action, resource); // told otherwise\n")
    files.change("[policy]", "[limits]\nidle_s = 10\n\n[policy]")
    files.change("[policy]", "[approval]\npending = 2\n\n[policy]")
    files.change('groups = ["agents"]', 'groups = ["agents", "others"]')
    assert changes(old, files.read()) == ("policy", "targets", "approval", "limits")


def test_a_rotated_password_is_a_change_of_targets(files: Folder) -> None:
    old = files.read()
    (files.path / "reader.password").write_text("another\n")
    assert changes(old, files.read()) == ("targets",)


def test_a_comment_is_a_change_of_the_settings(files: Folder) -> None:
    old = files.read()
    files.change("[policy]", "# why\n[policy]")
    assert changes(old, files.read()) == ("settings",)


WITNESS = f"""[[ledger.witness]]
name = "w"
url = "http://127.0.0.1:1"
key = "w+00000000+B{"A" * 43}"
"""


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('data = "data"', 'data = "elsewhere"', "`gate.data` changes"),
        ("[gate]", '[gate]\nname = "other"', "`gate.name` changes"),
        ("[gate]", "[gate]\nport = 1", "`gate.port` changes"),
        ('recording_key = "env:KEY"', 'recording_key = "env:OTHER"', "`evidence.recording_key` changes"),
        ("[policy]", "[limits]\ndecision_ms = 10\n\n[policy]", "`limits.decision_ms` changes"),
        ("[policy]", f"{WITNESS}\n[policy]", "`ledger.witness` changes"),
        ("[policy]", '[[export]]\nname = "siem"\nurl = "file:book"\n\n[policy]', "`export` changes"),
        ("[policy]", "[notify]\nalarm_s = 60\n\n[policy]", "`notify` changes"),
    ],
)
def test_what_a_running_gate_cannot_change_is_named(files: Folder, before: str, after: str, named: str) -> None:
    old = files.read()
    files.change(before, after)
    with pytest.raises(ConfigFault, match=named):
        read_anew(old, NoIssuers())


def test_drain_heartbeat_and_limits_may_change(files: Folder) -> None:
    old = files.read()
    files.change("[gate]", "[gate]\ndrain_s = 1")
    files.change("[evidence]", "[evidence]\nheartbeat_s = 1")
    assert read_anew(old, NoIssuers()).settings.gate.drain_s == 1


def test_a_session_stays_with_the_target_as_it_is_from_now_on(files: Folder) -> None:
    old = files.read()
    (files.path / "reader.password").write_text("another\n")
    new = files.read()
    fitted = fit(session_of(old), old, new)
    assert isinstance(fitted, Session)
    assert fitted.target is new.rules.targets["shop"]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('name = "shop"', 'name = "store"', "target shop is gone"),
        ('groups = ["agents"]', 'groups = ["others"]', "role reader at target shop is gone for this identity"),
        ('name = "reader"', 'name = "writer"', "role reader at target shop is gone for this identity"),
        ('account = "shop_reader"', 'account = "other"', "target shop leads elsewhere"),
        ('database = "shop"', 'database = "other"', "target shop leads elsewhere"),
        ('host = "127.0.0.1"', 'host = "localhost"', "target shop leads elsewhere"),
    ],
)
def test_id_02_a_session_whose_entitlement_is_gone_ends(files: Folder, before: str, after: str, why: str) -> None:
    old = files.read()
    files.change(before, after)
    assert fit(session_of(old), old, files.read()) == why


def test_id_02_a_session_by_a_token_of_an_issuer_that_is_gone_ends(files: Folder) -> None:
    old = files.read(OneIssuer())
    assert isinstance(fit(session_of(old, "token"), old, old), Session)
    assert fit(session_of(old, "token"), old, files.read()) == "issuer https://issuer.example is gone"


def test_id_02_a_session_by_a_certificate_ends_with_its_authority_or_any_of_its_roots(files: Folder) -> None:
    first, second = (replace(VOUCHING, roots=(Maker.root().der,)) for _ in range(2))
    both = replace(first, roots=first.roots + second.roots)
    one, other, more, none = (with_authorities(files.read(), *kept) for kept in ((first,), (second,), (both,), ()))
    session = session_of(one, "certificate")
    session = replace(session, principal=replace(session.principal, subject=Subject("x509:agents", "bot")))
    assert isinstance(fit(session, one, more), Session)
    for old, new in ((one, other), (one, none), (more, one), (none, one)):
        assert fit(session, old, new) == "authority x509:agents is gone, or another than it was"
    assert "authorities" in changes(one, other)


VOUCHING = Authority("agents", PrincipalKind.AGENT, NameKind.DNS, (), 3600)


def with_authorities(regime: Regime, *authorities: Authority) -> Regime:
    return replace(regime, rules=replace(regime.rules, authorities=authorities))


def test_enters_what_holds_from_now_on_and_what_held_before(files: Folder) -> None:
    journal, old = Journal(), files.read()
    write_loaded(cast("JournalWriter", journal), old, NOW)
    assert [leaf["event"] for leaf in journal.leaves] == ["config.loaded", "policy.loaded"]
    (files.path / "policies" / "b.cedar").write_text("permit (principal, action, resource);\n")
    new = files.read()
    write_loaded(cast("JournalWriter", journal), new, NOW, old)
    (loaded,) = journal.leaves[2:]
    assert loaded["previous"] == old.rules.engine.hash
    assert loaded["files"] == ["all.cedar", "b.cedar"]
    write_loaded(cast("JournalWriter", journal), replace(new), NOW, new)
    assert len(journal.leaves) == 3


def test_says_which_process_serves_a_data_folder(tmp_path: Path) -> None:
    write_pid(tmp_path)
    assert int((tmp_path / PID_FILE).read_text()) == os.getpid()
    remove_pid(tmp_path)
    remove_pid(tmp_path)
    assert list(tmp_path.iterdir()) == []
