# SPDX-License-Identifier: Apache-2.0
"""The command `gatebook`: its sub-commands, loaded when they are called, and the one place that prints errors."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from gatebook import __version__
from gatebook.cli.output import print_error
from gatebook.model.errors import GatebookError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

COMMANDS = {
    "init": ("gatebook.cli.init", "Make a configuration, keys, a certificate and the first admin."),
    "serve": ("gatebook.cli.serve", "Run the gate."),
    "control": ("gatebook.cli.control", "Serve the console: pages for people, and an API."),
    "notary": ("gatebook.cli.notary", "Seal the journals into the signed ledger."),
    "witness": ("gatebook.cli.witness", "Cosign the checkpoints of other people's ledgers."),
    "export": ("gatebook.cli.exports", "Exports: what is sealed goes to other systems, such as a SIEM."),
    "notify": ("gatebook.cli.notify", "Notifications: who is told when something waits for people."),
    "reload": (
        "gatebook.cli.reload",
        "Let the running gate read its files anew.",
    ),
    "try": ("gatebook.cli.trial", "Put a throwaway gate before a database of yours and follow the book."),
    "target": ("gatebook.cli.target", "Targets: the databases behind the gate."),
    "person": ("gatebook.cli.person", "People: who owns agents' keys."),
    "key": ("gatebook.cli.key", "API keys of agents."),
    "policy": ("gatebook.cli.policy", "Policies: check them, ask them, test them."),
    "sessions": ("gatebook.cli.sessions", "Sessions: what agents did."),
    "evidence": ("gatebook.cli.evidence", "Evidence: look after the keys that it is kept under."),
    "search": ("gatebook.cli.search", "Search the book: who touched a table, what an agent ran."),
    "index": ("gatebook.cli.index", "The search index: how far it is, and made anew."),
    "ledger": ("gatebook.cli.ledger", "The book of evidence: show its seal, verify it."),
    "receipt": ("gatebook.cli.receipt", "Receipts: the proof that one entry is in the ledger."),
    "bundle": ("gatebook.cli.bundle", "Bundles: a part of the book for an auditor, with its proof."),
    "verify": ("gatebook.cli.verify", "Verify a bundle, offline."),
    "purge": ("gatebook.cli.purge", "Purging: end the keeping of contents, by two people."),
    "hold": ("gatebook.cli.hold", "Legal holds: what must be kept until two people release it."),
    "approvals": ("gatebook.cli.approvals", "Approvals: what waits for people's consent, and their votes."),
    "request": ("gatebook.cli.request", "Requests of who uses the gate: a role for a time."),
    "consent": ("gatebook.cli.consent", "Consent: what waits for two people, and their signatures."),
    "doctor": ("gatebook.cli.doctor", "Look for what is wrong or weak in this installation."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gatebook")
def gatebook() -> None:
    """The gate that autonomous agents pass through, and the book that proves what they did."""


def run(arguments: Sequence[str]) -> int:
    """Run a command and return the exit status: 0 done, 1 failed or a finding, 2 wrong usage, 130 interrupted."""
    try:
        status: Any = gatebook.main(args=list(arguments), prog_name="gatebook", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as fault:
        where = fault.ctx.command_path if fault.ctx is not None else "gatebook"
        print_error(_words(fault), f"see `{where} --help`")
        return EXIT_USAGE
    except click.ClickException as fault:
        print_error(_words(fault), "")
        return EXIT_FAILED
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except GatebookError as fault:
        print_error(fault.message, fault.hint)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output is gone, as in `gatebook sessions list | head`: nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return status if isinstance(status, int) else 0


def _words(fault: click.ClickException) -> str:
    """Return click's words in the form of ours: lower case at the start, no period."""
    words = fault.format_message().rstrip(".")
    return words[:1].lower() + words[1:]


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
