# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a data folder are, by its configuration: journals, ledger, notary, recordings and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatebook.config import ConfigFault, Secrets, Settings

if TYPE_CHECKING:
    from gatebook.vault.notary import Folders
    from gatebook.vault.recordings import Recordings


def folders_of(settings: Settings) -> Folders:
    """Return where journals, ledger and notary are."""
    from gatebook.vault.notary import Folders  # noqa: PLC0415  cryptography, only where it is needed

    return Folders(settings.journal_path, settings.ledger_path, settings.notary_path)


def recordings_of(settings: Settings, *, need_key: bool) -> Recordings:
    """Return the recordings, with their key where it can be had. ConfigFault if it is needed and cannot."""
    from gatebook.vault.keystore import open_ring  # noqa: PLC0415  cryptography, only where it is needed
    from gatebook.vault.recordings import Recordings  # noqa: PLC0415  as above

    try:
        ring = open_ring(settings.evidence, Secrets.beside(settings.path.parent).read)
    except ConfigFault:
        if need_key:
            raise
        return Recordings(settings.recordings_path)
    return Recordings(settings.recordings_path, ring)
