# SPDX-License-Identifier: Apache-2.0
"""What must hold of the vaults that wrap recording keys, and of the references to them."""

from __future__ import annotations

from gatebook.config.issuers import is_trustworthy
from gatebook.config.settings import EvidenceSettings
from gatebook.config.values import Place

SCHEME = "vault"


def check_vaults(evidence: EvidenceSettings, place: Place) -> None:
    """Raise ConfigFault for a vault outside TLS, a token in a vault, and a reference to a vault that is not there."""
    for index, vault in enumerate(evidence.vaults):
        here = place.below("vault").below(index)
        if not is_trustworthy(vault.url, insecure_loopback=vault.insecure_loopback):
            raise here.below("url").fault(
                "must be `https://host:port` without user, query or fragment",
                "`insecure_loopback` lets it be `http://` on this machine",
            )
        if vault.token.scheme == SCHEME:
            raise here.below("token").fault("cannot be in a vault itself", "use `env:NAME` or `file:PATH`")
    names = {vault.name for vault in evidence.vaults}
    known = "known: " + ", ".join(f"`{SCHEME}:{name}`" for name in sorted(names)) if names else ""
    hint = known or "add an `[[evidence.vault]]` with that name"
    if evidence.recording_key.scheme == SCHEME and evidence.recording_key.locator not in names:
        raise place.below("recording_key").fault("names no vault that is configured", hint)
    for index, older in enumerate(evidence.older_recording_keys):
        if older.scheme == SCHEME and older.locator not in names:
            raise place.below("older_recording_keys").below(index).fault("names no vault that is configured", hint)
        if older == evidence.recording_key:
            raise place.below("older_recording_keys").below(index).fault("is the current `recording_key`")
