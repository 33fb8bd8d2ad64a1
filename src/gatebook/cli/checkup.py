# SPDX-License-Identifier: Apache-2.0
"""The checks of `gatebook doctor`, each with what was seen and what to do."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatebook.cli.application import load_application
from gatebook.cli.checkup_ledger import check_anchors, check_notary, check_others, check_sealing
from gatebook.cli.checkup_notify import check_notify, notify_secrets
from gatebook.cli.common import check_approvers, recordings_of
from gatebook.cli.verdicts import Check, Verdict
from gatebook.config import SecretRef, Secrets, Settings, load_settings
from gatebook.identity.authority import RootsFault, parse_roots
from gatebook.model.errors import GatebookError
from gatebook.model.secret import Secret
from gatebook.model.target import TlsMode
from gatebook.vault.clock import CLOCK_UNSYNCHRONISED, clock_state

if TYPE_CHECKING:
    from gatebook.vault.keystore import KeyStore

EXPIRES_SOON = timedelta(days=30)
PROBE = "doctor"  # the session id that a key is wrapped for, and kept nowhere
SEGMENTS_FREE = 4  # a gate takes one segment ahead; room for the recordings beside it


def check_installation(config: Path, *, offline: bool) -> list[Check]:
    """Return all checks; the first that makes the others senseless is the last."""
    try:
        settings = load_settings(config)
    except GatebookError as fault:
        return [Check("configuration", Verdict.WRONG, _words(fault))]
    checks = [Check("configuration", Verdict.OK, f"{settings.path}, {len(settings.targets)} targets")]
    for check in (
        _check_policies,
        _check_permissions,
        _check_secrets,
        _check_recording_key,
        _check_separation,
        check_notary,
        check_sealing,
        check_anchors,
        check_notify,
        _check_index,
        _check_certificate,
        _check_authorities,
        _check_disk,
        _check_clock,
        _check_exposure,
    ):
        checks.extend(_guarded(check, settings))
    if not offline:
        checks.extend(_guarded(check_others, settings))
        checks.extend(_check_targets(settings))
    return checks


def _guarded(check: Callable[[Settings], Iterator[Check]], settings: Settings) -> Iterator[Check]:
    """Run a check; what it could not look at is wrong, not a crash."""
    name = check.__name__.removeprefix("_").removeprefix("check_").replace("_", " ")
    try:
        yield from check(settings)
    except GatebookError as fault:
        yield Check(name, Verdict.WRONG, _words(fault))
    except OSError as fault:
        yield Check(name, Verdict.WRONG, f"{fault.filename}: {(fault.strerror or 'unknown error').lower()}")


def _check_policies(settings: Settings) -> Iterator[Check]:
    from gatebook import policy  # noqa: PLC0415  the policy engine, only where it is asked
    from gatebook.session.quorum import asks_people  # noqa: PLC0415  as above

    files = sorted(settings.policy.folder.glob("*.cedar"))
    engine = policy.load({path.name: path.read_text("utf-8") for path in files})
    if not files:
        yield Check("policies", Verdict.WRONG, f"none in {settings.policy.folder}: nothing is permitted")
    else:
        yield Check("policies", Verdict.OK, f"{len(files)} files, {engine.hash}")
    if asks_people(engine.policies):
        if check_approvers(settings, engine.policies):
            yield Check("approvers", Verdict.OK, "every group that is asked has enough people who could vote")
        else:
            yield Check("approvers", Verdict.WEAK, "there is no store yet, so nobody who could vote")


def _check_permissions(settings: Settings) -> Iterator[Check]:
    places = [
        settings.gate.data,
        settings.store_path,
        settings.console_path,
        settings.journal_path,
        settings.recordings_path,
    ]
    evidence = settings.evidence
    secrets = [evidence.recording_key, *evidence.older_recording_keys, settings.gate.tls_key]
    secrets += [vault.token for vault in evidence.vaults]
    secrets += notify_secrets(settings)
    secrets += [settings.control.tls_key, *(issuer.client_secret for issuer in settings.control.issuers)]
    secrets += [role.password for target in settings.targets for role in target.roles]
    places += [settings.path.parent / one.locator for one in secrets if one is not None and one.scheme == "file"]
    open_to_others = [path for path in places if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in open_to_others:
        mode = stat.S_IMODE(path.stat().st_mode)
        yield Check("permissions", Verdict.WRONG, f"{path} is open to others ({mode:04o}): chmod go-rwx it")
    foreign = [path for path in places if path.exists() and path.stat().st_uid not in {0, os.geteuid()}]
    for path in foreign:
        yield Check("permissions", Verdict.WEAK, f"{path} belongs to another user than the one who asks")
    if not open_to_others and not foreign:
        yield Check("permissions", Verdict.OK, "secrets and data are for their owner only")


def _check_secrets(settings: Settings) -> Iterator[Check]:
    references: list[SecretRef | None] = [settings.gate.tls_key, settings.control.tls_key]
    references += [issuer.client_secret for issuer in settings.control.issuers]
    references += [vault.token for vault in settings.evidence.vaults]
    references += notify_secrets(settings)
    for target in settings.targets:
        references += [role.password for role in target.roles]
        references += [target.catalogue.password] if target.catalogue is not None else []
    source = Secrets.beside(settings.path.parent)
    count = 0
    for reference in references:
        if reference is not None:
            source.read(reference)
            count += 1
    yield Check("secrets", Verdict.OK, f"{count} can be read")


def _check_recording_key(settings: Settings) -> Iterator[Check]:
    recordings = recordings_of(settings, need_key=True)
    newest = max(recordings.list_sessions(), default=None)
    if newest is not None:
        recordings.recording_key(newest)
    if recordings.key is not None and recordings.key.is_remote:
        yield _probe(recordings.key)
    else:
        yield Check("recording key", Verdict.OK, "opens the newest recording" if newest else "has its form")


def _probe(store: KeyStore) -> Check:
    """Wrap a key and open it: for its session it must open, for another it must not."""
    from gatebook.vault.keys import KeyFault, KeyFile, parse_key_file  # noqa: PLC0415  cryptography, only here

    head = store.wrap(PROBE, Secret(bytes(32)))
    store.unwrap(PROBE, head)
    file = parse_key_file(PROBE, head)
    try:
        store.unwrap(f"{PROBE}_2", KeyFile(f"{PROBE}_2", file.kek, file.wrapped).encode())
    except KeyFault:
        return Check("recording key", Verdict.OK, f"{store.id} wraps and opens, for one session each")
    words = f"{store.id} does not bind what it wraps to its session: its server is too old for `associated_data`"
    return Check("recording key", Verdict.WRONG, words)


def _check_separation(settings: Settings) -> Iterator[Check]:
    reference = settings.evidence.recording_key
    path = settings.path.parent / reference.locator
    if reference.scheme == "file" and path.resolve().is_relative_to(settings.gate.data.resolve()):
        words = "the recording key lies in the data folder: whoever copies the recordings has it too; move it"
        yield Check("key separation", Verdict.WRONG, words)
    else:
        words = "keys and data are read under one OS user: this separates backups, but is no boundary against that user"
        yield Check("key separation", Verdict.WEAK, words)
    root_key = settings.path.parent / "root.key"
    if root_key.exists():
        yield Check("root key", Verdict.WEAK, f"{root_key} is on this machine: who has it can pose as the gate")


def _check_index(settings: Settings) -> Iterator[Check]:
    from gatebook.store.indexing import check_same  # noqa: PLC0415  as above
    from gatebook.views.indexed import open_ledger, opened_index  # noqa: PLC0415  cryptography, only here

    if not settings.index_path.exists():
        return
    try:
        with opened_index(settings.index_path) as index:
            cursor = index.cursor()
        check_same(cursor, open_ledger(settings))
    except GatebookError as fault:  # it can be made anew: nothing is lost
        yield Check("index", Verdict.WEAK, _words(fault))
    else:
        yield Check("index", Verdict.OK, f"{cursor.size:,} entries of the ledger can be searched")


def _check_certificate(settings: Settings) -> Iterator[Check]:
    from cryptography import x509  # noqa: PLC0415  only where it is needed

    gate = settings.gate
    if gate.tls_certificate is None:
        return
    try:
        certificate = x509.load_pem_x509_certificates(gate.tls_certificate.read_bytes())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        yield Check("certificate", Verdict.WRONG, f"{gate.tls_certificate} is no certificate with names")
        return
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    known = names.get_values_for_type(x509.DNSName) + [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    if left <= timedelta(0):
        yield Check("certificate", Verdict.WRONG, "it has expired: clients refuse it")
    elif gate.public_host not in known:
        words = f"it does not name {gate.public_host} (public_host) but {', '.join(known)}"
        yield Check("certificate", Verdict.WRONG, words)
    else:
        yield Check(
            "certificate", Verdict.WEAK if left < EXPIRES_SOON else Verdict.OK, f"good for {left.days} more days"
        )


def _check_authorities(settings: Settings) -> Iterator[Check]:
    from cryptography import x509  # noqa: PLC0415  only where it is needed

    now = datetime.now(UTC)
    for authority in settings.authorities:
        name = f"authority {authority.name}"
        try:
            roots = [x509.load_der_x509_certificate(root) for root in parse_roots(authority.roots.read_bytes())]
        except RootsFault as fault:
            yield Check(name, Verdict.WRONG, f"{authority.roots} {fault}")
            continue
        left = max(root.not_valid_after_utc for root in roots) - now
        if left <= timedelta(0):
            yield Check(name, Verdict.WRONG, "its roots have expired: nobody of it can log in")
        else:
            verdict = Verdict.WEAK if left < EXPIRES_SOON else Verdict.OK
            yield Check(name, verdict, f"{len(roots)} roots, good for {left.days} more days")


def _check_disk(settings: Settings) -> Iterator[Check]:
    free = shutil.disk_usage(settings.gate.data).free
    need = SEGMENTS_FREE * settings.evidence.segment_bytes
    words = f"{free >> 20} MiB free"
    if free < need:
        yield Check("disk", Verdict.WRONG, f"{words}, {need >> 20} needed: a gate on a full disk refuses everything")
    else:
        yield Check("disk", Verdict.OK, words)


def _check_clock(settings: Settings) -> Iterator[Check]:  # noqa: ARG001  as its siblings
    state = clock_state()
    if state is None:
        yield Check("clock", Verdict.WEAK, "this system does not tell whether its clock is synchronised")
    elif state == CLOCK_UNSYNCHRONISED:
        yield Check("clock", Verdict.WEAK, "not synchronised: entries bear its time; run an NTP client")
    else:
        yield Check("clock", Verdict.OK, "synchronised")


def _check_exposure(settings: Settings) -> Iterator[Check]:
    if settings.gate.insecure_plaintext:
        yield Check("exposure", Verdict.WEAK, "insecure_plaintext: keys cross the wire readable")
    if settings.control.insecure_behind_proxy:
        words = (
            "control.insecure_behind_proxy: whoever reaches the console's port reads cookies, and hides their address"
        )
        yield Check("exposure", Verdict.WEAK, words)
    for target in settings.targets:
        if target.insecure_plaintext:
            words = f"target {target.name}: insecure_plaintext: passwords and rows cross the network readable"
            yield Check("exposure", Verdict.WEAK, words)
        if target.tls is TlsMode.INSECURE_REQUIRE:
            words = f"target {target.name}: tls `require` checks no certificate; use `verify-full`"
            yield Check("exposure", Verdict.WEAK, words)


def _check_targets(settings: Settings) -> Iterator[Check]:
    for target in settings.targets:
        try:
            steps = load_application().test_target(settings.path, target.name)
        except GatebookError as fault:
            yield Check(f"target {target.name}", Verdict.WRONG, _words(fault))
            continue
        for step in steps:
            verdict = Verdict.OK if step.passed else Verdict.WRONG
            yield Check(f"target {target.name}", verdict, f"{step.name}: {step.words}")


def _words(fault: GatebookError) -> str:
    return f"{fault.message}: {fault.hint}" if fault.hint else fault.message
