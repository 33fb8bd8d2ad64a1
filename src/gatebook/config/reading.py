# SPDX-License-Identifier: Apache-2.0
"""From the TOML file to settings: everything is checked before anything is used."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from gatebook.config.authorities import check_authorities
from gatebook.config.control import check_control
from gatebook.config.exports import check_exports
from gatebook.config.issuers import check_issuers
from gatebook.config.ledger import check_ledger
from gatebook.config.notify import NOTIFY_WRITER, check_notify
from gatebook.config.secrets import ConfigFault
from gatebook.config.settings import Settings, TargetSettings
from gatebook.config.values import Place, read_table
from gatebook.config.vaults import check_vaults
from gatebook.model.errors import quoted
from gatebook.model.target import Address, TlsMode

MAX_CONFIG_BYTES = 4 << 20  # LIMIT: thousands of targets fit
# Journals of other processes than the gate.
TAKEN_WRITERS = {
    "cli": "the command line",
    "notary": "the notary",
    "control": "the console",
    NOTIFY_WRITER: "`gatebook notify`",
}


def load_settings(path: Path) -> Settings:
    """Read and parse the configuration file.

    ConfigFault if it cannot be read, is not TOML, or has a setting that is wrong; file and line are named.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise ConfigFault(
            f"configuration {quoted(str(path))} cannot be read: {words}",
            "make one with `gatebook init`, or name another with `--config`",
        ) from fault
    return parse_settings(content, path)


def parse_settings(content: bytes, path: Path) -> Settings:
    """Parse the content of a configuration file; `path` is for messages and for relative paths.

    ConfigFault as `load_settings`.
    """
    if len(content) > MAX_CONFIG_BYTES:
        raise ConfigFault(f"configuration {quoted(str(path))} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        text = content.decode()
        document = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        raise ConfigFault(
            f"{path.name}: not TOML: {_one_line(fault)}", "strings need quotes; tables are written `[name]`"
        ) from fault
    place = Place(path.absolute().parent, path.name, text)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    settings: Settings = read_table(Settings, document, place, path=path.absolute(), digest=digest)
    _check_gate(settings, place)
    for index, target in enumerate(settings.targets):
        _check_target(target, place.below("target").below(index))
    check_issuers(settings.issuers, place.below("issuer"))
    check_authorities(settings, place)
    check_vaults(settings.evidence, place.below("evidence"))
    check_exports(settings, place)
    check_notify(settings.notify, place.below("notify"))
    check_control(settings.control, place.below("control"))
    return settings


def _check_gate(settings: Settings, place: Place) -> None:
    gate = settings.gate
    here = place.below("gate")
    if gate.name in TAKEN_WRITERS:
        raise here.below("name").fault(f"is the name of the journal of {TAKEN_WRITERS[gate.name]}", "take another")
    check_ledger(settings.ledger_origin, settings.ledger, settings.evidence.heartbeat_s, place.below("ledger"))
    if gate.insecure_plaintext and not Address(gate.host, gate.port).is_local:
        raise here.below("insecure_plaintext").fault(
            "is for loopback only", "listen on `127.0.0.1`, or give the gate a certificate"
        )
    if (gate.tls_certificate is None) != (gate.tls_key is None):
        raise here.fault("needs both `tls_certificate` and `tls_key`, or neither")
    if gate.tls_certificate is None and not gate.insecure_plaintext:
        raise here.fault("needs `tls_certificate` and `tls_key`", "`gatebook init` makes them")
    if gate.login == "oauthbearer" and settings.oauth_issuer is None:
        hint = "clients are told where to get a token"
        if gate.oauth_issuer:
            raise here.below("oauth_issuer").fault("is no issuer's name", hint)
        raise here.below("login").fault("needs an `[[issuer]]`", hint)


def _check_target(target: TargetSettings, place: Place) -> None:
    is_local = Address(target.host, target.port).is_local
    if target.tls is TlsMode.DISABLE and not is_local and not target.insecure_plaintext:
        raise place.below("tls").fault(
            "is `disable`, but the target is not on this machine", "use `verify-full` with `tls_roots`"
        )


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200].lower()
