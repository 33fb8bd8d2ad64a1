# SPDX-License-Identifier: Apache-2.0
"""The catalogue of entry kinds: for each its writer and the members it must and may have.

The table in docs/spec/entry.md says the same; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatebook.evidence.entry import EntryFault, Value, parse_time

COMMON = frozenset({"event", "time", "v", "writer"})
SESSION_COMMON = frozenset({"session", "seq", "identity", "source", "where"})
VERSION = 1


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of entry: `needs` beside the common members, `may` have. `in_session` ones carry the session's members."""

    name: str
    writer: str
    needs: frozenset[str]
    may: frozenset[str] = frozenset()
    in_session: bool = False

    @property
    def members(self) -> frozenset[str]:
        """Every member of its own."""
        return self.needs | self.may


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OPERATION = _names("operation via statement recording")
_DECIDED = _names("action decision private")
EVENTS: tuple[EventKind, ...] = (
    EventKind("gateway.start", "gate", _names("version policy config")),
    EventKind("gateway.stop", "gate", _names("cause sessions")),
    EventKind("gateway.reload", "gate", _names("result changed"), _names("reason hint")),
    EventKind("heartbeat", "gate", _names("sessions journal clock")),
    EventKind(
        "authn",
        "gate, console",
        _names("result checks claimed source"),
        _names("failed reason credential identity target admitted refusal token certificate"),
    ),
    EventKind("cancel", "gate", _names("result source"), _names("session")),
    EventKind("authn.counted", "gate", _names("source failures checks seconds")),
    EventKind("session.start", "conversation", _names("recording upstream parameters"), in_session=True),
    EventKind("operation.held", "conversation", _OPERATION, _DECIDED, in_session=True),
    EventKind("operation.intent", "conversation", _OPERATION, _DECIDED, in_session=True),
    EventKind("operation.refused", "conversation", _OPERATION | _names("refusal"), _DECIDED, in_session=True),
    EventKind(
        "operation.outcome",
        "conversation",
        _names("operation effect"),
        _names("private recording execution"),
        in_session=True,
    ),
    EventKind("session.end", "conversation", _names("cause counts"), _names("note"), in_session=True),
    EventKind("recording.chunk", "recorder", _names("session index sha256 bytes plain frames")),
    EventKind("recording.sealed", "recorder", _names("session chunks frames plain root")),
    EventKind("journal.recovered", "any writer", _names("kept cut aside")),
    EventKind("journal.removed", "notary", _names("journal first last before after sha256 moved")),
    EventKind("session.lost", "gate", _names("session cause open"), _names("last_seq")),
    EventKind("failure", "any", _names("what action")),
    EventKind("issuer.keys", "gate", _names("issuer keys added removed"), _names("keys_more")),
    EventKind("policy.loaded", "gate", _names("hash files"), _names("previous")),
    EventKind("config.loaded", "gate", _names("hash files"), _names("previous")),
    EventKind("key.created", "CLI", _names("key agent owner by expires"), _names("groups")),
    EventKind("key.revoked", "CLI", _names("key agent owner by"), _names("expires")),
    EventKind("target.added", "CLI", _names("target by config")),
    EventKind("person.added", "CLI", _names("person admin by"), _names("groups human")),
    EventKind("person.groups", "CLI", _names("person groups by")),
    EventKind("person.disabled", "CLI", _names("person by")),
    EventKind("person.enrolment", "CLI", _names("person by expires")),
    EventKind("person.key.added", "CLI, console", _names("person key fingerprint by")),
    EventKind("person.key.removed", "CLI", _names("person key fingerprint by")),
    EventKind(
        "approval.requested",
        "gate",
        _names("request digest binding shown expires use_s policy_hash"),
        _names("session operation reason"),
    ),
    EventKind("approval.preview", "gate", _names("request operation action")),
    EventKind("approval.previewed", "gate", _names("request operation status")),
    EventKind("approval.voted", "CLI, control", _names("request vote method channel"), _names("key signature")),
    EventKind("approval.granted", "CLI, control", _names("request until")),
    EventKind("approval.used", "gate", _names("request operation digest uses policy_hash voters")),
    EventKind("approval.ended", "any", _names("request result"), _names("reason")),
    EventKind("consent.requested", "CLI", _names("request by")),
    EventKind("consent.given", "CLI", _names("request person fingerprint signature by")),
    EventKind("hold.placed", "CLI", _names("hold selection reason by")),
    EventKind("hold.released", "CLI", _names("hold request by")),
    EventKind("evidence.purged", "CLI", _names("session request erased class by")),
    EventKind("purge.done", "CLI", _names("request sessions files bytes by")),
    EventKind("notary.start", "notary", _names("origin key size version")),
    EventKind("notary.stop", "notary", _names("cause size")),
    EventKind("notary.key", "notary", _names("old key reason by")),
    EventKind("checkpoint.stamped", "notary", _names("size stamped authority serial sha256")),
    EventKind("evidence.viewed", "CLI, console", _names("by session purpose form")),
    EventKind("console.start", "console", _names("version config url")),
    EventKind("console.stop", "console", _names("cause")),
    EventKind("evidence.rewrapped", "CLI", _names("by key result"), _names("rewrapped current erased failed")),
    EventKind("evidence.exported", "CLI", _names("by purpose manifest entries contents")),
)
BY_NAME = {kind.name: kind for kind in EVENTS}


def check_leaf(leaf: dict[str, Value], writer: str) -> EventKind:
    """Return the kind of a leaf from the journal of `writer`.

    EntryFault if the kind is not in the catalogue, a member is missing, or a common member is not what it must be.
    Members that the catalogue does not list are let pass: a later minor version may add some.
    """
    kind = BY_NAME.get(str(leaf.get("event")))
    if kind is None:
        raise EntryFault("its event is not in the catalogue")
    wanted = COMMON | kind.needs | (SESSION_COMMON if kind.in_session else frozenset())
    missing = wanted - leaf.keys()
    if missing:
        raise EntryFault(f"{kind.name} lacks `{min(missing)}`")
    if isinstance(leaf["v"], bool) or leaf["v"] != VERSION:
        raise EntryFault("its version is not 1")
    if leaf["writer"] != writer:
        raise EntryFault("its writer is another than its journal's")
    time = leaf["time"]
    parse_time(time if isinstance(time, str) else "")
    if "session" in wanted and not isinstance(leaf["session"], str):
        raise EntryFault("its session is no string")
    if kind.in_session:
        seq = leaf["seq"]
        if isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
            raise EntryFault("its seq is no count")
    return kind
