# SPDX-License-Identifier: Apache-2.0
"""Times on the command line: RFC 3339, or a date; without a zone it is UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from gatebook.model.errors import quoted


class Moment(click.ParamType[datetime]):
    """A moment by RFC 3339, or a date; without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware moment; click's usage error if it is none."""
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{quoted(str(value))} is no time such as 2026-11-25T14:00Z", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
