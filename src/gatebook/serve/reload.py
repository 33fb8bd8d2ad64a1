# SPDX-License-Identifier: Apache-2.0
"""A new configuration for a gate that runs: read whole and checked, then put in force at once, or refused and told why.

Policies, targets with their secrets, roles, issuers, authorities, terms of approval, limits and the certificate may
change. What a running process cannot change is named, and the new configuration refused: half of it would be neither
the old nor the new.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from gatebook.config import ConfigFault, Settings, load_settings
from gatebook.config.values import TOML_NAMES
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.identity import certificate, token
from gatebook.identity.issuer import TokenBook
from gatebook.issuers.keys import TokenKeys
from gatebook.model.errors import GatebookError
from gatebook.native.carrier import NativeError
from gatebook.serve.fresh import now
from gatebook.serve.gateway import Gateway
from gatebook.serve.plan import make_plan
from gatebook.serve.rules import Regime, read_regime
from gatebook.session.gate import Session
from gatebook.vault.journal import JournalWriter

# What the listener, the journal and the threads were made with.
FIXED: Final[Mapping[str, frozenset[str]]] = {
    "gate": frozenset(
        {
            *("name", "data", "host", "port", "insecure_plaintext", "threads", "sync"),
            *("login", "oauth_issuer", "oauth_scope"),
        }
    ),
    "ledger": frozenset(
        {
            *("origin", "notary", "witness_quorum", "witnesses", "witness_policy", "witness_grace_s"),
            *("timestamp_every_s", "timestamps"),
        }
    ),
    "evidence": frozenset({"recording_key", "older_recording_keys", "vaults", "segment_bytes", "queue_bytes"}),
    "index": frozenset({"follow"}),
    "limits": frozenset({"decision_ms"}),
}
PID_FILE: Final = "serve.pid"

_log = structlog.get_logger("gatebook")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of it: the parts that changed, or the words why nothing did."""

    changed: tuple[str, ...] = ()
    refused: str = ""
    hint: str = ""


def read_anew(old: Regime, tokens: TokenBook) -> Regime:
    """Read configuration, policies, secrets and certificate anew. GatebookError for what is wrong in them.

    Slow enough to be done beside the loop; changes nothing.
    """
    settings = load_settings(old.settings.path)
    check_fixed(old.settings, settings)
    return read_regime(settings, old.rules.book, tokens)


def check_fixed(old: Settings, new: Settings) -> None:
    """Raise ConfigFault if a setting changed that a running gate cannot change."""
    changed = [
        f"`{section}.{TOML_NAMES.get(item.name, item.name)}`"
        for section, names in FIXED.items()
        for item in fields(getattr(old, section))
        if item.name in names and getattr(getattr(old, section), item.name) != getattr(getattr(new, section), item.name)
    ]
    if old.exports != new.exports:
        changed.append("`export`")
    if old.notify != new.notify:
        changed.append("`notify`")
    if old.oauth_issuer is not None and new.oauth_issuer is not None and old.oauth_issuer.url != new.oauth_issuer.url:
        changed.append("the issuer that clients are told")
    if (old.gate.tls_certificate is None) != (new.gate.tls_certificate is None):
        changed.append("`gate.tls_certificate` (whether there is one)")
    if changed:
        verb = "changes" if len(changed) == 1 else "change"
        raise ConfigFault(
            f"{new.path.name}: {', '.join(changed)} {verb}, which a running gate cannot take up",
            "restart the gate, or put the old value back",
        )


def changes(old: Regime, new: Regime) -> tuple[str, ...]:
    """Return the names of what is different, in a fixed order."""
    before, after = old.settings, new.settings
    different = {
        "policy": old.rules.engine.hash != new.rules.engine.hash,
        "targets": old.rules.targets != new.rules.targets,
        "issuers": before.issuers != after.issuers,
        "authorities": old.rules.authorities != new.rules.authorities,
        "approval": before.approval != after.approval,
        "limits": before.limits != after.limits,
        "certificate": (old.certificate, old.certificate_key) != (new.certificate, new.certificate_key),
    }
    named = tuple(name for name, is_different in different.items() if is_different)
    return named or (("settings",) if before.digest != after.digest else ())


def fit(session: Session, old: Regime, new: Regime) -> Session | str:
    """Return a session as it is from now on, or why it has to end.

    It ends where its entitlement is gone or its connection leads elsewhere: target, address, account,
    role, issuer or authority. `old` is what it was let in by, or stayed under since.
    """
    principal, target, role = session.principal, session.target, session.role
    found = new.rules.targets.get(target.name)
    if found is None:
        return f"target {target.name} is gone"
    mine = [one for one in found.roles if set(one.groups) & set(principal.groups)]
    given = [one for one in mine if one.is_on_request == bool(session.grant)]
    same = next((one for one in given if not session.grant or one.name == role.name), None)
    if same is None or same.name != role.name:
        return f"role {role.name} at target {target.name} is gone for this identity"
    if (found.address, found.database, same.account.name) != (target.address, target.database, role.account.name):
        return f"target {target.name} leads elsewhere"
    if principal.method == token.METHOD and new.rules.tokens.find_issuer(principal.subject.issuer) is None:
        return f"issuer {principal.subject.issuer} is gone"
    if principal.method == certificate.METHOD and not _still_vouched(principal.subject.issuer, old, new):
        return f"authority {principal.subject.issuer} is gone, or another than it was"
    return replace(session, target=found, role=same)


def _still_vouched(issuer: str, old: Regime, new: Regime) -> bool:
    before = next((one for one in old.rules.authorities if one.issuer == issuer), None)
    after = next((one for one in new.rules.authorities if one.issuer == issuer), None)
    return before is not None and after is not None and after.still_vouches_as(before)


def write_loaded(journal: JournalWriter, new: Regime, moment: datetime, old: Regime | None = None) -> None:
    """Enter which configuration and policies hold from now on; with `old`, only what is another than before."""
    settings, engine = new.settings, new.rules.engine
    stamp = Stamp(settings.gate.name, moment)
    before = old.settings.digest if old else ""
    if settings.digest != before:
        files = [settings.path.name]
        journal.append(builders.config_loaded(stamp, digest=settings.digest, files=files, previous=before))
    before = old.rules.engine.hash if old else ""
    if engine.hash != before:
        files = list(new.policy_files)
        journal.append(builders.policy_loaded(stamp, digest=engine.hash, files=files, previous=before))


class Reloader:
    """Takes up a new configuration when it is told to. Lives on the gateway's loop."""

    def __init__(
        self, gateway: Gateway, journal: JournalWriter, tokens: TokenKeys, in_force: Regime, listener: int
    ) -> None:
        self._gateway = gateway
        self._journal = journal
        self._tokens = tokens
        self._in_force = in_force
        self._listener = listener

    async def follow(self, told: asyncio.Event) -> None:
        """Reload each time the event is set, one after the other, for ever."""
        while True:
            await told.wait()
            told.clear()
            answer = await self.reload()
            if answer.refused:
                _log.error(
                    "the new configuration is refused; the old one stays", fault=answer.refused, hint=answer.hint
                )
            else:
                _log.info("configuration reloaded", changed=list(answer.changed))

    async def reload(self) -> Reloaded:
        """Read everything anew and put it in force, or refuse it as a whole; either is an entry."""
        old = self._in_force
        try:
            new = await asyncio.to_thread(read_anew, old, self._tokens)
            answer = Reloaded(changes(old, new))
            if _listening(old) != _listening(new):
                self._reload_listener(new)
        except GatebookError as fault:
            answer = Reloaded(refused=fault.message, hint=fault.hint)
        else:
            write_loaded(self._journal, new, now(), old)
            self._tokens.replace(new.settings.issuers)
            self._gateway.approvals.settings = new.settings.approval
            self._gateway.take_up(new.rules, make_plan(new.settings), partial(fit, old=old, new=new))
            self._in_force = new
        stamp = Stamp(old.settings.gate.name, now())
        self._journal.append(
            builders.gateway_reload(stamp, changed=answer.changed, refused=answer.refused, hint=answer.hint)
        )
        return answer

    def _reload_listener(self, new: Regime) -> None:
        try:
            self._gateway.carrier.reload_tls(
                self._listener,
                new.certificate,
                new.certificate_key,
                client_roots=new.client_roots,
                client_required=new.client_required,
            )
        except NativeError as fault:
            name = new.settings.gate.tls_certificate
            raise ConfigFault(
                f"{name.name if name else 'certificate'}: {fault}",
                "see certificate and key, and the roots of authorities",
            ) from fault


def _listening(regime: Regime) -> tuple[bytes, bytes, bytes, bool]:
    """What new connections meet."""
    return regime.certificate, regime.certificate_key, regime.client_roots, regime.client_required


def write_pid(data: Path) -> None:
    """Say which process serves this data folder, for `gatebook reload`."""
    fresh = data / f"{PID_FILE}.new"
    fresh.write_text(f"{os.getpid()}\n")
    fresh.replace(data / PID_FILE)


def remove_pid(data: Path) -> None:
    """The process ends."""
    (data / PID_FILE).unlink(missing_ok=True)
