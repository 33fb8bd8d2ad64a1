# SPDX-License-Identifier: Apache-2.0
"""Values that people type: names and lengths of time, checked where they are typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from gatebook.model.errors import quoted

MAX_DAYS = 366  # LIMIT: a key is renewed once a year at least
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class NameType(click.ParamType[str]):
    """A name of a person, agent or group: 1 to 63 characters that are safe in a table, a policy and a command."""

    name = "name"
    _form = re.compile(r"[A-Za-z0-9]([A-Za-z0-9@._-]{0,61}[A-Za-z0-9])?")

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if self._form.fullmatch(value) is None:
            self.fail(
                "must be 1 to 63 letters, digits, `@`, `.`, `_`, `-`, with a letter or digit at both ends", param, ctx
            )
        return value


class PersonType(click.ParamType[str]):
    """A person: a name of this gate, or `ISSUER|SUBJECT` as an identity provider knows them."""

    name = "person"
    _subject = re.compile(r"[!-~]{1,255}\|[ -~]{0,254}[!-~]")

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return what was typed."""
        if "|" not in value:
            return NAME.convert(value, param, ctx)
        if self._subject.fullmatch(value) is None:
            self.fail("must be a name, or ISSUER|SUBJECT in printable ASCII, 255 characters each", param, ctx)
        return value


class LifetimeType(click.ParamType[timedelta]):
    """A length of time: a number and `m`, `h` or `d`."""

    name = "time"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length of time."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", value)
        length = int(match[1]) * UNITS[match[2]] if match is not None else timedelta(0)
        if not timedelta(0) < length <= timedelta(days=MAX_DAYS):
            self.fail(f"must be a number with `m`, `h` or `d`, and {MAX_DAYS} days at most, as in `30d`", param, ctx)
        return length


class MomentType(click.ParamType[datetime]):
    """A moment by RFC 3339, or a date; without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware moment; click's usage error if it is none."""
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{quoted(str(value))} is no time such as 2026-11-25T14:00Z", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


NAME = NameType()
PERSON = PersonType()
LIFETIME = LifetimeType()
MOMENT = MomentType()
