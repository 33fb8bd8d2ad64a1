# SPDX-License-Identifier: Apache-2.0
"""What must hold of exports: where they may send, with what, and under which name."""

from __future__ import annotations

from gatebook.config.issuers import is_trustworthy
from gatebook.config.settings import Settings
from gatebook.config.values import Place

FILE = "file:"
MAX_NAME = 57  # LIMIT: `export-` and the name are the name of a journal, which has at most 64 characters


def export_writer(name: str) -> str:
    """Return the name of the journal in which an export enters its failures."""
    return f"export-{name}"


def check_exports(settings: Settings, place: Place) -> None:
    """Raise ConfigFault for a receiver that cannot be trusted, or a name that is taken."""
    for index, export in enumerate(settings.exports):
        here = place.below("export").below(index)
        if len(export.name) > MAX_NAME:
            raise here.below("name").fault(f"is longer than {MAX_NAME} characters")
        if export_writer(export.name) == settings.gate.name:
            raise place.below("gate").below("name").fault("is the name of the journal of an export", "take another")
        if export.url.startswith(FILE):
            if export.url == FILE:
                raise here.below("url").fault("names no file", "write `file:PATH`")
            if export.token is not None or export.tls_roots is not None:
                raise here.fault("has `token` or `tls_roots`, which a file has no use for")
        elif not is_trustworthy(export.url, insecure_loopback=True):
            hint = "`http://` is for this machine only; a token belongs into `token`"
            raise here.below("url").fault("must be `https://host/path` without user, query, fragment or `|`", hint)
        if any(not prefix.strip() for prefix in export.events):
            raise here.below("events").fault("must not hold an empty prefix", "leave it out to send every kind")
