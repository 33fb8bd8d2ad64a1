# SPDX-License-Identifier: Apache-2.0
"""Exports in the configuration: receivers that can be trusted, and names that are free."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, Settings, parse_settings
from gatebook.config.exports import export_writer

HEAD = """
[gate]
name = "export-taken"
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"
"""


def parsed(url: str, name: str = "siem", *more: str) -> Settings:
    text = "\n".join((HEAD, "[[export]]", f'name = "{name}"', f'url = "{url}"', *more))
    return parse_settings(text.encode(), Path("/gate/gatebook.toml"))


def fault(url: str, name: str = "siem", *more: str) -> str:
    with pytest.raises(ConfigFault) as caught:
        parsed(url, name, *more)
    return caught.value.message


@pytest.mark.parametrize(
    "url", ["https://siem.example/in", "https://siem.example:8088", "http://127.0.0.1:9/in", "http://[::1]:9", "file:a"]
)
def test_receivers_behind_tls_on_loopback_and_files_are_taken(url: str) -> None:
    (export,) = parsed(url).exports
    assert (export.url, export.batch_entries, export.lag_alarm_s, export.events) == (url, 1000, 60, ())


@pytest.mark.parametrize(
    "url",
    [
        *("http://siem.example/in", "http://10.0.0.1", "ftp://siem.example", "siem.example", "https://", "https:///in"),
        *("https://user:word@siem.example", "https://siem.example/?token=x", "https://siem.example:port", "FILE:a"),
    ],
)
def test_receivers_that_cannot_be_trusted_are_refused(url: str) -> None:
    assert "`export[1].url` must be `https://host/path`" in fault(url)


def test_a_file_needs_a_name_and_no_token() -> None:
    assert "names no file" in fault("file:")
    assert "has `token` or `tls_roots`" in fault("file:a", "siem", 'token = "env:TOKEN"')
    assert "has `token` or `tls_roots`" in fault("file:a", "siem", 'tls_roots = "roots.pem"')


def test_names_are_those_of_journals() -> None:
    assert export_writer("siem") == "export-siem"
    assert parsed("file:a", "a" * 57).exports
    assert "longer than 57 characters" in fault("file:a", "a" * 58)
    assert "is the name of the journal of an export" in fault("file:a", "taken")


def test_an_empty_prefix_would_be_every_kind_and_is_refused() -> None:
    assert parsed("file:a", "siem", 'events = ["operation.", "authn"]').exports[0].events == ("operation.", "authn")
    assert "must not hold an empty prefix" in fault("file:a", "siem", 'events = [" "]')
