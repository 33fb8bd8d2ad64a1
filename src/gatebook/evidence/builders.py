# SPDX-License-Identifier: Apache-2.0
"""Builders of the entries that Python writes, one per kind; the moment and the writer are passed in.

Each returns the bytes of a leaf; EntryFault if what was passed does not fit into one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.consent import Request
from gatebook.evidence.entry import Leaf, Value, encode_leaf, format_time
from gatebook.evidence.events import VERSION
from gatebook.evidence.parts import checks_part, claimed_part, identity_part, subject_part
from gatebook.evidence.removal import Removal
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.principal import Identified, NotIdentified, Subject

MAX_LISTED = 1000  # LIMIT: ids and file names in one leaf; `more` counts the rest
MAX_KEYS = 100  # LIMIT: ids of an issuer's keys in one leaf, of at most 256 characters
MAX_REASON = 8192  # LIMIT: characters of why policies or configuration are refused; there may be many problems
MAX_WORDS = 1024  # LIMIT: characters of words in a leaf


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every entry starts with: whose journal, and when (aware)."""

    writer: str
    now: datetime


class NamedKey(Protocol):
    """A public key of a person: an OpenSSH key or a passkey."""

    @property
    def text(self) -> str:
        """As it stands in entries."""

    @property
    def fingerprint(self) -> str:
        """Its name."""


def gateway_start(stamp: Stamp, *, version: str, policy_hash: str, config_hash: str) -> bytes:
    """Say that the gate takes connections from now on."""
    return leaf_of(stamp, "gateway.start", {"version": version, "policy": policy_hash, "config": config_hash})


def gateway_stop(stamp: Stamp, *, cause: str, sessions: int) -> bytes:
    """Say that the gate stops; `sessions` were alive when it was told to."""
    return leaf_of(stamp, "gateway.stop", {"cause": cause, "sessions": sessions})


def gateway_reload(stamp: Stamp, *, changed: Sequence[str], refused: str = "", hint: str = "") -> bytes:
    """Say that a new configuration was read: what of it is another than before, or why it is refused as a whole."""
    members: Leaf = {"result": "refused" if refused else "done", "changed": list(changed)}
    for name, words in (("reason", refused), ("hint", hint)):
        if refused and words:
            members[name] = words[:MAX_REASON]
    return leaf_of(stamp, "gateway.reload", members)


def console_start(stamp: Stamp, *, version: str, config_hash: str, url: str) -> bytes:
    """Say that the console serves from now on, at this address."""
    return leaf_of(stamp, "console.start", {"version": version, "config": config_hash, "url": url})


def console_stop(stamp: Stamp, *, cause: str) -> bytes:
    """Say that the console stops."""
    return leaf_of(stamp, "console.stop", {"cause": cause})


def notary_start(stamp: Stamp, *, version: str, origin: str, key: str, size: int) -> bytes:
    """Say that the notary seals from now on: its verifier key, and how many entries it has sealed."""
    return leaf_of(stamp, "notary.start", {"version": version, "origin": origin, "key": key, "size": size})


def notary_stop(stamp: Stamp, *, cause: str, size: int) -> bytes:
    """Say that the notary stops; what comes behind this entry, it seals when it starts again."""
    return leaf_of(stamp, "notary.stop", {"cause": cause, "size": size})


def heartbeat(stamp: Stamp, *, sessions: int, entries: int, clock_synchronised: bool) -> bytes:
    """Say that the gate lives and how many entries its journal has."""
    clock = "synchronised" if clock_synchronised else "unknown"
    return leaf_of(stamp, "heartbeat", {"sessions": sessions, "journal": entries, "clock": clock})


def authn(
    stamp: Stamp,
    answer: Identified | NotIdentified,
    *,
    user: str,
    database: str,
    source: Leaf,
    target: str = "",
    session: str = "",
    refused: str = "",
    reason: str = "",
) -> bytes:
    """Say that somebody tried to log in: `user` and `database` as claimed; `target` if one of that name is known.

    `session` is the id of the session that was admitted; `refused` the refusal code of one that was not; `reason` the
    gate's word for what failed before anything was claimed.
    """
    members: Leaf = {
        "checks": checks_part(answer.checks),
        "claimed": claimed_part(user, database),
        "source": source,
    }
    for name, value in (("target", target), ("admitted", session), ("refusal", refused), ("reason", reason)):
        if value:
            members[name] = value
    for name, says in (("token", answer.token), ("certificate", answer.certificate)):
        if says:
            members[name] = dict(says)
    if isinstance(answer, Identified):
        members["result"] = "refused" if refused else "accepted"
        members["credential"] = answer.principal.credential
        members["identity"] = identity_part(answer.principal)
    else:
        members["result"] = "refused"
        members["failed"] = answer.failed
        if answer.credential:
            members["credential"] = answer.credential
    return leaf_of(stamp, "authn", members)


def authn_counted(
    stamp: Stamp, *, source: str, failures: int, checks: Iterable[tuple[str, int]], seconds: int
) -> bytes:
    """Say how many more logins from a source failed than entries tell; `checks` is how many failed each check."""
    members: Leaf = {"source": {"ip": source}, "failures": failures, "checks": dict(checks), "seconds": seconds}
    return leaf_of(stamp, "authn.counted", members)


def cancel(stamp: Stamp, *, result: str, source: Leaf, session: str = "") -> bytes:
    """Say that somebody asked to cancel what a session runs: `sent` to the target, `unknown` key, or `throttled`."""
    members: Leaf = {"result": result, "source": source}
    if session:
        members["session"] = session
    return leaf_of(stamp, "cancel", members)


def policy_loaded(stamp: Stamp, *, digest: str, files: Iterable[str], previous: str = "") -> bytes:
    """Say that this policy set decides from now on."""
    return leaf_of(stamp, "policy.loaded", _loaded(digest, files, previous))


def config_loaded(stamp: Stamp, *, digest: str, files: Iterable[str], previous: str = "") -> bytes:
    """Say that this configuration holds from now on."""
    return leaf_of(stamp, "config.loaded", _loaded(digest, files, previous))


def issuer_keys(
    stamp: Stamp, *, issuer: str, keys: Sequence[str], added: Sequence[str], removed: Sequence[str]
) -> bytes:
    """Say that these keys verify an issuer's tokens from now on; all are ids."""
    members: Leaf = {"issuer": issuer}
    for name, ids in (("keys", keys), ("added", added), ("removed", removed)):
        members[name] = list(ids[:MAX_KEYS])
    if len(keys) > MAX_KEYS:
        members["keys_more"] = len(keys) - MAX_KEYS
    return leaf_of(stamp, "issuer.keys", members)


def key_created(stamp: Stamp, key: KeyRecord, *, by: str) -> bytes:
    """Say that an API key was made; `by` is who ran the command, as the operating system knows them."""
    return leaf_of(stamp, "key.created", _key(key, by) | {"groups": list(key.groups)})


def key_revoked(stamp: Stamp, key: KeyRecord, *, by: str) -> bytes:
    """Say that an API key is dead from now on."""
    return leaf_of(stamp, "key.revoked", _key(key, by))


def target_added(stamp: Stamp, *, target: str, by: str, config: str) -> bytes:
    """Say that the configuration has a target more; `config` is the hash of the new file."""
    return leaf_of(stamp, "target.added", {"target": target, "by": by, "config": config})


def person_added(stamp: Stamp, person: Person, *, by: str) -> bytes:
    """Say that a person is known from now on."""
    members: Leaf = {"person": subject_part(person.subject), "admin": person.admin, "by": by}
    if person.groups:
        members["groups"] = sorted(membership.group for membership in person.groups)
    if person.human:
        members["human"] = person.human
    return leaf_of(stamp, "person.added", members)


def person_groups(stamp: Stamp, subject: Subject, groups: Iterable[str], *, by: str) -> bytes:
    """Say that a person is in these groups, and no others, from now on."""
    members: Leaf = {"person": subject_part(subject), "groups": sorted(groups), "by": by}
    return leaf_of(stamp, "person.groups", members)


def person_disabled(stamp: Stamp, subject: Subject, *, by: str) -> bytes:
    """Say that a person, and every key they own, is shut out from now on."""
    return leaf_of(stamp, "person.disabled", {"person": subject_part(subject), "by": by})


def notary_key(stamp: Stamp, *, old: str, key: str, reason: str, by: str) -> bytes:
    """Say that the notary's verifier key `old` gives way to `key`, why, and who asked for it."""
    return leaf_of(stamp, "notary.key", {"old": old, "key": key, "reason": reason[:MAX_WORDS], "by": by[:MAX_WORDS]})


def checkpoint_stamped(
    stamp: Stamp, *, size: int, stamped: datetime, authority: str, serial: str, digest: str
) -> bytes:
    """Say that an authority stamped the checkpoint of `size` at `stamped` (aware); `digest` is its answer's."""
    words: Leaf = {"authority": authority, "serial": serial[:MAX_WORDS], "sha256": digest}
    return leaf_of(stamp, "checkpoint.stamped", words | {"size": size, "stamped": format_time(stamped)})


def evidence_viewed(stamp: Stamp, *, by: str, session: str, purpose: str, form: str) -> bytes:
    """Say that somebody looked at private parts or a recording."""
    words: Leaf = {"by": by, "session": session, "purpose": purpose[:MAX_WORDS], "form": form}
    return leaf_of(stamp, "evidence.viewed", words)


def evidence_exported(stamp: Stamp, *, by: str, purpose: str, manifest: str, entries: int, contents: str) -> bytes:
    """Say that a bundle is about to be handed out; `manifest` is the hash of its manifest."""
    words: Leaf = {"by": by, "purpose": purpose[:MAX_WORDS], "manifest": manifest, "contents": contents}
    return leaf_of(stamp, "evidence.exported", words | {"entries": entries})


def person_enrolment(stamp: Stamp, *, person: Subject, expires: datetime, by: str) -> bytes:
    """Say that a person may make a passkey until then (aware), by a code that was handed to `by`."""
    return leaf_of(
        stamp, "person.enrolment", {"person": subject_part(person), "expires": format_time(expires), "by": by}
    )


def person_key(stamp: Stamp, *, person: Subject, key: NamedKey, removed: bool, by: str) -> bytes:
    """Say that a key is a person's from now on, or no more."""
    members: Leaf = {"person": subject_part(person), "key": key.text, "fingerprint": key.fingerprint, "by": by}
    return leaf_of(stamp, "person.key.removed" if removed else "person.key.added", members)


def consent_requested(stamp: Stamp, request: Request, *, by: str) -> bytes:
    """Say that people are asked to want something."""
    return leaf_of(stamp, "consent.requested", {"request": request.to_value(), "by": by})


def consent_given(stamp: Stamp, *, request: str, person: Subject, fingerprint: str, signature: bytes, by: str) -> bytes:
    """Say that a person wants what a request says, with their signature, which is without armor."""
    members: Leaf = {"request": request, "person": subject_part(person), "fingerprint": fingerprint, "by": by}
    return leaf_of(stamp, "consent.given", members | {"signature": base64.b64encode(signature).decode()})


def hold_placed(stamp: Stamp, *, hold: str, selection: Selection, reason: str, by: str) -> bytes:
    """Say that nothing that a selection takes may be purged from now on."""
    members: Leaf = {"hold": hold, "selection": selection.to_value(), "reason": reason[:MAX_WORDS], "by": by}
    return leaf_of(stamp, "hold.placed", members)


def hold_released(stamp: Stamp, *, hold: str, request: str, by: str) -> bytes:
    """Say that a hold is over, by a request that two people consented to."""
    return leaf_of(stamp, "hold.released", {"hold": hold, "request": request, "by": by})


def evidence_purged(stamp: Stamp, *, session: str, request: str, erased: str, retention: str, by: str) -> bytes:
    """Say that a session's contents, or its recording alone, are about to go; `retention` is its class."""
    members: Leaf = {"session": session, "request": request, "erased": erased, "class": retention, "by": by}
    return leaf_of(stamp, "evidence.purged", members)


def purge_done(stamp: Stamp, *, request: str, sessions: int, files: int, size: int, by: str) -> bytes:
    """Say that all that a request erases is gone; `size` is bytes."""
    members: Leaf = {"request": request, "sessions": sessions, "files": files, "bytes": size, "by": by}
    return leaf_of(stamp, "purge.done", members)


def journal_removed(stamp: Stamp, removal: Removal) -> bytes:
    """Say that a segment of a journal is about to be removed: its leaves are sealed, its private parts moved."""
    return leaf_of(stamp, "journal.removed", removal.members())


def keys_rewrapped(stamp: Stamp, *, by: str, key: str, result: str, counts: Leaf) -> bytes:
    """Say that key files of recordings are wrapped under the key of this id; `counts` come with their end."""
    return leaf_of(stamp, "evidence.rewrapped", {"by": by, "key": key, "result": result} | counts)


def session_lost(stamp: Stamp, *, session: str, last_seq: int | None, open_operations: Sequence[str]) -> bytes:
    """Say that a session ended with its gateway; `last_seq` is the last there is, `open_operations` have no outcome."""
    members: Leaf = {"session": session, "cause": "gateway lost", "open": list(open_operations[:MAX_LISTED])}
    if len(open_operations) > MAX_LISTED:
        members["open_more"] = len(open_operations) - MAX_LISTED
    if last_seq is not None:
        members["last_seq"] = last_seq
    return leaf_of(stamp, "session.lost", members)


def recording_chunk(
    stamp: Stamp, *, session: str, index: int, digest: str, stored: int, plain: int, frames: int
) -> bytes:
    """Say that a chunk of a recording is in the kernel; `stored` and `plain` are bytes."""
    numbers: Leaf = {"index": index, "bytes": stored, "plain": plain, "frames": frames}
    return leaf_of(stamp, "recording.chunk", {"session": session, "sha256": digest} | numbers)


def recording_sealed(stamp: Stamp, *, session: str, chunks: int, frames: int, plain: int, root: str) -> bytes:
    """Say that a recording is complete."""
    numbers: Leaf = {"chunks": chunks, "frames": frames, "plain": plain}
    return leaf_of(stamp, "recording.sealed", {"session": session, "root": root} | numbers)


def failure(stamp: Stamp, *, what: str, action: str) -> bytes:
    """Say that something the operator owns failed; `action` is what the gate did about it."""
    return leaf_of(stamp, "failure", {"what": what[:MAX_WORDS], "action": action[:MAX_WORDS]})


def leaf_of(stamp: Stamp, event: str, members: Leaf) -> bytes:
    """Return the bytes of an entry of this kind. EntryFault if the members do not fit into one."""
    common: Leaf = {"event": event, "time": format_time(stamp.now), "v": VERSION, "writer": stamp.writer}
    return encode_leaf(common | members)


def _loaded(digest: str, files: Iterable[str], previous: str) -> Leaf:
    names: list[Value] = [*sorted(files)]
    members: Leaf = {"hash": digest, "files": names[:MAX_LISTED]}
    if len(names) > MAX_LISTED:
        members["files_more"] = len(names) - MAX_LISTED
    if previous:
        members["previous"] = previous
    return members


def _key(key: KeyRecord, by: str) -> Leaf:
    return {
        "key": key.id,
        "agent": subject_part(key.agent),
        "owner": subject_part(key.owner),
        "by": by,
        "expires": format_time(key.expires_at),
    }
