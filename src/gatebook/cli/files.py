# SPDX-License-Identifier: Apache-2.0
"""Files that commands write: for their owner only, whole or not there, and never over another unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gatebook.model.errors import OperatorFault, quoted


def check_absent(path: Path, *, force: bool) -> None:
    """Refuse early what `whole_file` refuses late: OperatorFault if the file is there and is not to be replaced."""
    if not force and os.path.lexists(path):
        raise _there(path)


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a file to write; it takes its name at the end, mode 0600, synced, and only if nothing was raised.

    OperatorFault if it cannot be written, or is there and `force` was not given, whoever made it meanwhile.
    """
    try:
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name[:200]}.", dir=path.parent)
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            try:
                file.flush()
                os.fsync(file.fileno())
                if force:
                    os.replace(beside, path)  # noqa: PTH105  in one line with `link`, which pathlib turns round
                else:
                    os.link(beside, path)  # refuses what is there; a rename would not
            except FileExistsError as fault:
                raise _there(path) from fault
        from gatebook.vault.ledger import sync_folder  # noqa: PLC0415  cryptography, only where a file is written

        sync_folder(path.parent)
    except OSError as fault:
        raise _unwritable(path, fault) from fault
    finally:
        Path(beside).unlink(missing_ok=True)


def _there(path: Path) -> OperatorFault:
    return OperatorFault(f"{quoted(str(path))} is there already", "give another name, or --force to replace it")


def _unwritable(path: Path, fault: OSError) -> OperatorFault:
    words = (fault.strerror or "unknown error").lower()
    return OperatorFault(f"{quoted(str(path))} cannot be written: {words}", "see the folder and the disk")
