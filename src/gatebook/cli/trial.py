# SPDX-License-Identifier: Apache-2.0
"""`gatebook try`: a throwaway gate before a database of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.application import load_application


class Listen(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`; an IPv6 address stands in brackets."""

    name = "host:port"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return host and port."""
        if isinstance(value, tuple):
            return value
        host, colon, port = value.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
            self.fail("must be HOST:PORT, as in 127.0.0.1:5433 or [::1]:5433", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@click.command("try")
@click.argument("url", metavar="postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Cedar file; without one everything is permitted, and written into the book.",
)
@click.option(
    "--listen",
    type=Listen(),
    default="127.0.0.1:0",
    show_default=True,
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the book in this folder; else it is temporary.",
)
@click.option(
    "--insecure-plaintext",
    is_flag=True,
    help="Let clients on loopback in without TLS; the key crosses the wire readable.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print how to connect as one JSON object, then entries as JSON lines."
)
def command(
    url: str,
    *,
    policy: Path | None,
    listen: tuple[str, int],
    data: Path | None,
    insecure_plaintext: bool,
    as_json: bool,
) -> None:
    """Put a throwaway gate before a database of yours and follow the book.

    Prints the psql command for an agent, then every decision as it is written, until it is interrupted. Any database
    of the server can be asked for by its name; upstream it is always the account of the URL.
    """
    load_application().try_database(
        url, policy=policy, listen=listen, data=data, insecure_plaintext=insecure_plaintext, as_json=as_json
    )
