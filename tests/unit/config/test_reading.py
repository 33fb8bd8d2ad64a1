# SPDX-License-Identifier: Apache-2.0
"""Reading the configuration: what is right becomes settings, what is wrong is named with line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.config import ConfigFault, SecretRef, load_settings, parse_settings
from gatebook.model.target import TlsMode

PATH = Path("/etc/gatebook/gatebook.toml")
GATE = """
[gate]
data = "data"
tls_certificate = "server.crt"
tls_key = "file:server.key"

[evidence]
recording_key = "file:recording.key"

[policy]
folder = "policies"
"""
TARGET = """
[[target]]
name = "shop"
host = "db.internal"
database = "shop"

[[target.role]]
name = "reader"
account = "shop_reader"
password = "env:SHOP_READER"
groups = ["shop-agents"]
"""


def fault(text: str) -> ConfigFault:
    with pytest.raises(ConfigFault) as caught:
        parse_settings(text.encode(), PATH)
    return caught.value


def test_parses_a_whole_file() -> None:
    extra = """
[target.catalogue]
account = "gatebook_catalogue"
[target.labels]
tier = "gold"
area = "north"
"""
    settings = parse_settings((GATE + TARGET + extra).encode(), PATH)
    assert settings.gate.name == "gatebook"
    assert settings.gate.data == Path("/etc/gatebook/data")
    assert settings.gate.port == 5433
    assert settings.gate.tls_key == SecretRef("file", "server.key")
    assert settings.evidence.segment_bytes == 67_108_864
    assert settings.policy.folder == Path("/etc/gatebook/policies")
    assert settings.limits.statement_bytes == 262_144
    assert settings.path == PATH
    assert settings.store_path == Path("/etc/gatebook/data/gatebook.db")
    assert settings.journal_path == Path("/etc/gatebook/data/journal")
    assert settings.recordings_path == Path("/etc/gatebook/data/recordings")
    (target,) = settings.targets
    assert target.tls is TlsMode.VERIFY_FULL
    assert target.port == 5432
    assert target.catalogue is not None
    assert target.catalogue.account == "gatebook_catalogue"
    assert target.labels == (("area", "north"), ("tier", "gold"))
    (role,) = target.roles
    assert role.password == SecretRef("env", "SHOP_READER")
    assert role.groups == ("shop-agents",)


def test_hashes_the_content_as_it_is_on_disk() -> None:
    digest = parse_settings(GATE.encode(), PATH).digest
    assert digest.startswith("sha256:")
    assert digest != parse_settings((GATE + "# changed\n").encode(), PATH).digest


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (GATE.replace("data =", "dtaa ="), "gatebook.toml:3: `gate.dtaa` is not a setting", "did you mean `data`?"),
        (GATE + "[gaet]\n", "gatebook.toml:12: `gaet` is not a setting", "did you mean `gate`?"),
        (
            GATE + "[zzz]\n",
            "gatebook.toml:12: `zzz` is not a setting",
            (
                "known: `gate`, `evidence`, `ledger`, `export`, `approval`, `notify`, `retention`, `index`, `policy`, "
                "`limits`, `target`, `issuer`, "
                "`certificate_authority`, `control`"
            ),
        ),
        (
            GATE + TARGET.replace("account", "acount"),
            "gatebook.toml:20: `target[1].role[1].acount` is not a setting",
            "did you mean `account`?",
        ),
        (
            GATE + TARGET + TARGET.replace('"reader"', '"Reader"').replace('"shop"', '"other"'),
            (
                "gatebook.toml:30: `target[2].role[1].name` must be 1 to 63 of `a-z`, `0-9`, `-`, `_`, "
                "with a letter or digit at both ends"
            ),
            "",
        ),
        (GATE + TARGET + TARGET, "gatebook.toml:25: `target[2].name` is there twice", "names must be unique"),
        (
            GATE.replace('data = "data"', ""),
            "gatebook.toml:2: `gate` needs the setting `data`",
            "Folder of store, journals and recordings; relative to this file.",
        ),
        (
            GATE.replace("[gate]", "[gate]\nport = 70000"),
            "gatebook.toml:3: `gate.port` must be a whole number from 0 to 65535",
            "",
        ),
        (
            GATE.replace("[gate]", "[gate]\nport = true"),
            "gatebook.toml:3: `gate.port` must be a whole number from 0 to 65535",
            "",
        ),
        (
            GATE.replace("[gate]", "[gate]\nthreads = 1.5"),
            "gatebook.toml:3: `gate.threads` must be a whole number from 0 to 1024",
            "",
        ),
        (
            GATE.replace("[gate]", '[gate]\nsync = "evry"'),
            "gatebook.toml:3: `gate.sync` must be one of `privileged`, `every`",
            "did you mean `every`?",
        ),
        (
            GATE.replace("[gate]", "[gate]\ninsecure_plaintext = 1"),
            "gatebook.toml:3: `gate.insecure_plaintext` must be `true` or `false`",
            "",
        ),
        (
            GATE.replace("[gate]", '[gate]\nhost = ""'),
            "gatebook.toml:3: `gate.host` must be a string of printable characters that is not empty",
            "",
        ),
        (
            GATE.replace("[gate]", '[gate]\nhost = "0.0.0.0"\ninsecure_plaintext = true'),
            "gatebook.toml:4: `gate.insecure_plaintext` is for loopback only",
            "listen on `127.0.0.1`, or give the gate a certificate",
        ),
        (
            GATE.replace('tls_key = "file:server.key"', ""),
            "gatebook.toml:2: `gate` needs both `tls_certificate` and `tls_key`, or neither",
            "",
        ),
        (
            GATE.replace('tls_key = "file:server.key"', "").replace('tls_certificate = "server.crt"', ""),
            "gatebook.toml:2: `gate` needs `tls_certificate` and `tls_key`",
            "`gatebook init` makes them",
        ),
        (
            GATE + TARGET.replace("[[target.role]]", 'tls = "disable"\n[[target.role]]'),
            "gatebook.toml:18: `target[1].tls` is `disable`, but the target is not on this machine",
            "use `verify-full` with `tls_roots`",
        ),
        (
            GATE + TARGET.replace('["shop-agents"]', '"shop-agents"'),
            "gatebook.toml:22: `target[1].role[1].groups` must be an array of strings",
            "",
        ),
        (
            GATE + TARGET.replace('["shop-agents"]', "[7]"),
            (
                "gatebook.toml:22: `target[1].role[1].groups[1]` "
                "must be a string of printable characters that is not empty"
            ),
            "",
        ),
        (
            GATE + TARGET.split("[[target.role]]", maxsplit=1)[0],
            "gatebook.toml:13: `target[1]` needs the setting `role`",
            "The roles, in order of preference.",
        ),
        (GATE + "target = 7", "gatebook.toml:12: `policy.target` is not a setting", "known: `folder`, `verdict_ttl_s`"),
        ("gate = 7", "gatebook.toml:1: `gate` must be a table", ""),
        ("target = 7" + GATE, "gatebook.toml:1: `target` must be an array of tables that is not empty", ""),
        (
            GATE + TARGET + "[target.labels]\ntier = 7",
            "gatebook.toml:24: `target[1].labels.tier` must be a string of printable characters that is not empty",
            "",
        ),
        (
            GATE + TARGET.replace("[[target.role]]", "labels = 7\n[[target.role]]"),
            "gatebook.toml:18: `target[1].labels` must be a table of strings",
            "",
        ),
        ("", "gatebook.toml: needs the setting `gate`", ""),
    ],
)
def test_names_what_is_wrong_with_line_and_remedy(text: str, message: str, hint: str) -> None:
    wrong = fault(text)
    assert wrong.message == message
    assert wrong.hint == hint


@pytest.mark.parametrize("value", ['"hunter2"', '"env:"', '"ENV:X"', '"file: x"', "7", '["hunter2"]'])
def test_never_repeats_what_stands_where_a_reference_should(value: str) -> None:
    wrong = fault(GATE.replace('"file:recording.key"', value))
    assert wrong.message == (
        "gatebook.toml:8: `evidence.recording_key` must say where the secret is, and never be the secret itself"
    )
    assert "hunter2" not in wrong.message + wrong.hint


def test_takes_plaintext_on_loopback_without_certificate() -> None:
    text = GATE.replace('tls_key = "file:server.key"', "insecure_plaintext = true")
    settings = parse_settings(text.replace('tls_certificate = "server.crt"', "").encode(), PATH)
    assert settings.gate.insecure_plaintext


def test_takes_a_target_elsewhere_in_plaintext_only_by_a_setting_that_says_so() -> None:
    text = GATE + TARGET.replace("[[target.role]]", 'tls = "disable"\ninsecure_plaintext = true\n[[target.role]]')
    (target,) = parse_settings(text.encode(), PATH).targets
    assert target.tls is TlsMode.DISABLE
    assert target.insecure_plaintext


def test_says_where_the_file_is_not_toml() -> None:
    wrong = fault("[gate\n")
    assert wrong.message.startswith("gatebook.toml: not TOML: ")
    assert "line 1" in wrong.message


def test_refuses_a_file_that_is_too_large() -> None:
    assert "is larger than 4194304 bytes" in fault("#" * (4 << 20) + "\n").message


def test_loads_from_disk_with_paths_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "gatebook.toml").write_text(GATE)
    assert load_settings(tmp_path / "gatebook.toml").gate.data == tmp_path / "data"


def test_says_what_to_do_when_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot be read: no such file or directory") as caught:
        load_settings(tmp_path / "absent.toml")
    assert caught.value.hint == "make one with `gatebook init`, or name another with `--config`"


@given(st.binary(max_size=300))
def test_raises_one_error_class_on_garbage(garbage: bytes) -> None:
    with pytest.raises(ConfigFault):
        parse_settings(garbage, PATH)
