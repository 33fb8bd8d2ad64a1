# SPDX-License-Identifier: Apache-2.0
"""Composes one export: its files, its journal, the ledger and the receiver; and runs it on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from gatebook.config import ConfigFault, Settings
from gatebook.config.exports import export_writer
from gatebook.config.settings import ExportSettings
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import OperatorFault, quoted
from gatebook.serve.ending import stop_when_told
from gatebook.serve.exporting import Exporter, ExportPlan
from gatebook.serve.fresh import now
from gatebook.serve.receivers import Receiver, make_receiver
from gatebook.vault.cursor import ExportFolder
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.outgoing import ExportStanding, Outgoing, read_export_standing

LOCK_WAIT_S = 5.0  # for the journal of a process that is just ending


def run_export(settings: Settings, name: str, *, until_input_ends: bool) -> None:
    """Send what is sealed until SIGINT or SIGTERM, or the end of standard input.

    EvidenceFault, after an entry of it, where ledger or cursor are not what they were; OperatorFault for the rest.
    """
    export = _find(settings, name)
    receiver = make_receiver(export, settings)
    with _opened(settings, export, receiver) as exporter:
        asyncio.run(_run(exporter, receiver, until_input_ends=until_input_ends))


def send_export(settings: Settings, name: str) -> int:
    """Send what is sealed now; how many entries. Errors as `run_export`, and OperatorFault where some wait."""
    export = _find(settings, name)
    receiver = make_receiver(export, settings)
    with _opened(settings, export, receiver) as exporter:
        return asyncio.run(_once(exporter, receiver))


def read_standings(settings: Settings) -> list[ExportStanding]:
    """Return how each export stands, by its files. May be called from any thread."""
    ledger = LedgerFolder(settings.ledger_path)
    return [
        read_export_standing(
            ledger, settings.ledger_origin, ExportFolder(settings.export_path, export.name), export.name, now
        )
        for export in settings.exports
    ]


async def _run(exporter: Exporter, receiver: Receiver, *, until_input_ends: bool) -> None:
    stopping = stop_when_told(until_input_ends=until_input_ends)
    try:
        await exporter.run(stopping)
    finally:
        await receiver.close()


async def _once(exporter: Exporter, receiver: Receiver) -> int:
    try:
        return await exporter.once()
    finally:
        await receiver.close()


def _find(settings: Settings, name: str) -> ExportSettings:
    for export in settings.exports:
        if export.name == name:
            return export
    known = ", ".join(f"`{export.name}`" for export in settings.exports)
    raise ConfigFault(f"there is no export {quoted(name)}", f"known: {known}" if known else "add an `[[export]]`")


@contextmanager
def _opened(settings: Settings, export: ExportSettings, receiver: Receiver) -> Iterator[Exporter]:
    """Take the lock, open the journal, read the cursor. What goes wrong inside is entered where it is evidence."""
    files, writer = ExportFolder(settings.export_path, export.name), export_writer(export.name)
    plan = ExportPlan(export.name, writer, export.batch_entries, export.lag_alarm_s, export.events)
    try:
        with (
            files.lock(),
            JournalWriter.open(settings.journal_path, writer, sync="every", wait_s=LOCK_WAIT_S) as journal,
        ):
            try:
                cursor = files.read_cursor()
                outgoing = Outgoing(LedgerFolder(settings.ledger_path), settings.ledger_origin, cursor, now)
                yield Exporter(plan, outgoing, receiver, files=files, disk=SystemDisk(), journal=journal, now=now)
            except EvidenceFault as fault:
                what = f"export {export.name}: {fault.finding}: {fault.message}"
                journal.append(builders.failure(Stamp(writer, now()), what=what, action="it exports nothing any more"))
                raise
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(
            f"the export's files cannot be written: {words}", "see the disk, then start again"
        ) from fault
