# SPDX-License-Identifier: Apache-2.0
"""The witnesses as the notary sees them: it offers checkpoints, and cosignatures come in when they come.

SPEC: docs/spec/ledger.md, "What the notary does". Each witness has a thread, which may hang in a request for as long as
a request may take; the notary waits for none of them longer than it says. Only what is on the notary's disk is offered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gatebook.evidence.checkpoint import Checkpoint, parse_decimal
from gatebook.evidence.cosignature import CosignerKey, Request, find_cosignatures, read_answer, with_cosignatures
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer, countersign, parse_note, signature_line
from gatebook.evidence.rotation import is_signed
from gatebook.evidence.tree import Tiles, consistency_proof
from gatebook.evidence.witnessed import Seen
from gatebook.model.errors import quoted

WAIT_S = 0.3  # LIMIT: how long a checkpoint waits for witnesses; an entry is published within a second all the same
OUTAGE_S = 10.0  # a quorum that takes longer is entered
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
CONTRADICTED_S = 30.0  # LIMIT: a witness that says yes and no in turn would fill the book, an entry each time
MAX_OFFERS = 64  # LIMIT: checkpoints that wait for their quorum; half a minute of them
ROUNDS = 3  # requests in a row: a witness that tells its size is asked again from there
MAX_AHEAD_S = 86_400.0  # a witness whose clock is further ahead is of no use to anybody
PROOF_TRIES = 3
PROOF_PAUSE_S = 0.02

OK, CONFLICT, UNPROVEN = 200, 409, 422


class NotAnswered(Exception):
    """A witness gave no answer; the message is one line that an operator understands."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness said."""

    status: int
    body: bytes


Ask = Callable[[bytes], Answer]
"""Sends a body and returns the answer. NotAnswered where there is none. Called from one thread."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness that is asked: how it is called here, its key, and how to reach it."""

    name: str
    key: CosignerKey
    ask: Ask


@dataclass(frozen=True, slots=True)
class News:
    """Something that is to be entered and logged once: what happened, and what follows."""

    what: str
    action: str


@dataclass(slots=True)
class _Offer:
    note: bytes
    size: int
    since: float
    lines: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Seat:
    """A witness and what is known of it. `target` is the size that it was last asked for, `busy` while it is asked."""

    witness: Witness
    seen: Seen
    target: int = 0
    busy: bool = False
    retry_at: float = 0.0
    retry_s: float = 0.0  # 0 while it does not fail
    trouble: str = ""
    contradicts: bool = False


class _Contradiction(Exception):
    """The witness has another past than the ledger."""


class Witnesses:
    """All witnesses of a notary. Methods are called from the notary's thread; none waits longer than it says."""

    def __init__(
        self,
        witnesses: Sequence[Witness] = (),
        quorum: int = 0,
        seen: dict[str, Seen] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make them; `seen` is what was remembered. A quorum of 0 means all."""
        self._seats = [_Seat(witness, (seen or {}).get(witness.name, Seen())) for witness in witnesses]
        self._quorum = quorum or len(self._seats)
        self._clock = clock
        self._changed = threading.Condition()
        self._offers: dict[int, _Offer] = {}
        self._newest = 0
        self._quorate: _Offer | None = None
        self._waiting_since: float | None = None
        self._outage = False
        self._closed = False
        self._news: list[News] = []
        self._tiles: Tiles | None = None

    @property
    def are_there(self) -> bool:
        """Whether there is any."""
        return bool(self._seats)

    def start(self, tiles: Tiles) -> None:
        """Start asking; proofs are made of these tiles."""
        self._tiles = tiles
        for seat in self._seats:
            threading.Thread(target=self._work, args=(seat,), name=f"witness-{seat.witness.name}", daemon=True).start()

    def close(self) -> None:
        """Ask no more. A request under way ends by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def offer(self, checkpoint: bytes, published: bytes = b"") -> None:
        """Let a checkpoint be cosigned, which is on disk; `published` is how it is published already, if it is."""
        size = Checkpoint.parse(parse_note(checkpoint).text).size
        if not self._seats or not size:
            return  # the empty tree is nothing to attest
        offer = _Offer(checkpoint, size, self._clock(), self._known_lines(published) if published else {})
        with self._changed:
            self._offers[size] = offer
            self._newest = size
            if self._waiting_since is None:
                self._waiting_since = offer.since
            if len(self._offers) > MAX_OFFERS:
                del self._offers[min(self._offers)]
            self._count(offer)
            self._changed.notify_all()

    def wait(self, seconds: float = WAIT_S) -> None:
        """Wait until witnesses have cosigned the newest, at most so long.

        Not for one that fails, or is still busy with an older one.
        """
        until = time.monotonic() + seconds
        with self._changed:
            offer = self._offers.get(self._newest)
            while offer is not None and any(self._is_awaited(seat, offer) for seat in self._seats):
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return

    def signed(self, checkpoint: bytes) -> bytes:
        """Return a checkpoint with the cosignatures that have come for it, in the order of the configuration."""
        with self._changed:
            offer = self._offers.get(self._newest)
            if offer is None or offer.note != checkpoint:
                return checkpoint
            return self._whole(offer)

    def quorate(self) -> bytes | None:
        """Return the newest checkpoint that a quorum has cosigned since the start, with all its cosignatures."""
        with self._changed:
            return self._whole(self._quorate) if self._quorate is not None else None

    def countersign(self, signer: Signer) -> None:
        """Put one more key of the notary under every checkpoint that waits or has its quorum."""
        with self._changed:
            for offer in {id(one): one for one in [*self._offers.values(), self._quorate] if one is not None}.values():
                if not is_signed(offer.note, signer.verifier):
                    offer.note = countersign(offer.note, signer)

    def seen(self) -> dict[str, Seen]:
        """Return what is known of each witness, to be remembered."""
        with self._changed:
            return {seat.witness.name: seat.seen for seat in self._seats}

    def news(self) -> list[News]:
        """Return what is to be entered and logged; each once."""
        with self._changed:
            since = self._waiting_since
            late = since is not None and self._clock() - since > OUTAGE_S
            if late and not self._outage:
                failing = [f"{seat.witness.name} {seat.trouble}" for seat in self._seats if seat.trouble]
                what = f"fewer than {self._quorum} witnesses cosign: {'; '.join(failing) or 'they are slow'}"
                self._news.append(News(what, "sealing goes on; witnesses are asked again"))
            elif self._outage and not late:
                self._news.append(News("witnesses cosign again", "the outage is over"))
            self._outage = late
            told, self._news = self._news, []
            return told

    @staticmethod
    def _is_awaited(seat: _Seat, offer: _Offer) -> bool:
        is_late = seat.busy and seat.target != offer.size
        return seat.witness.name not in offer.lines and not seat.retry_s and not is_late

    def _whole(self, offer: _Offer) -> bytes:
        names = [seat.witness.name for seat in self._seats]
        return with_cosignatures(offer.note, [offer.lines[name] for name in names if name in offer.lines])

    def _known_lines(self, published: bytes) -> dict[str, str]:
        """Return the lines of configured witnesses under a published checkpoint, where they verify."""
        note, lines = parse_note(published), {}
        for seat in self._seats:
            key = seat.witness.key
            try:
                is_signed = find_cosignatures(published, [key])
            except EvidenceFault:
                continue  # whoever changed it: the witness is asked again
            if is_signed:
                line = next(one for one in note.signatures if (one.name, one.key_id) == (key.name, key.key_id))
                lines[seat.witness.name] = signature_line(line.name, line.key_id + line.signature)
        return lines

    def _count(self, offer: _Offer) -> None:
        """See whether an offer has its quorum; with the condition held."""
        if len(offer.lines) < self._quorum or (self._quorate is not None and offer.size < self._quorate.size):
            return
        self._quorate = offer
        self._offers = {size: one for size, one in self._offers.items() if size >= offer.size}
        self._waiting_since = min((one.since for size, one in self._offers.items() if size > offer.size), default=None)

    def _work(self, seat: _Seat) -> None:
        """The thread of a witness."""
        while True:
            offer = self._wait_for_work(seat)
            if offer is None:
                return
            try:
                line, cosigned_at = self._ask(seat, offer)
            except _Contradiction as said:
                self._failed(seat, str(said), contradicts=True)
            except NotAnswered as said:
                self._failed(seat, str(said))
            except EvidenceFault as fault:
                self._failed(seat, f"gave no good answer: {fault.message}")
            else:
                self._cosigned(seat, offer, line, cosigned_at)

    def _wait_for_work(self, seat: _Seat) -> _Offer | None:
        """Wait until a witness is to be asked, and for what; None when it is over."""
        with self._changed:
            while not self._closed:
                offer = self._next(seat)
                if offer is not None:
                    seat.target, seat.busy = offer.size, True
                    return offer
                left = seat.retry_at - self._clock() if seat.retry_s else 0.0
                self._changed.wait(left if left > 0 else LONGEST_RETRY_S)
        return None

    def _next(self, seat: _Seat) -> _Offer | None:
        """Return what a witness is to be asked now; with the condition held.

        That is the newest checkpoint that another one was asked for, so that slow witnesses cosign the same ones, or
        the newest of all; never one that is older than what it has.
        """
        if seat.retry_s and self._clock() < seat.retry_at:
            return None
        name, known = seat.witness.name, min(seat.seen.size, self._newest)
        wanted = [one for one in self._offers.values() if name not in one.lines and one.size >= known]
        shared = {other.target for other in self._seats if other is not seat}
        together = [one for one in wanted if one.size in shared]
        return max(together or wanted, key=lambda one: one.size, default=None)

    def _ask(self, seat: _Seat, offer: _Offer) -> tuple[str, int]:
        """Ask a witness for a cosignature; its line and time. EvidenceFault, NotAnswered, _Contradiction."""
        for _ in range(ROUNDS):
            old = min(seat.seen.size, offer.size)
            body = Request(old, tuple(self._proof(old, offer.size)), offer.note).encode()
            answer = seat.witness.ask(body)
            if answer.status == OK:
                line, cosigned_at = read_answer(offer.note, answer.body, seat.witness.key)
                if cosigned_at > time.time() + MAX_AHEAD_S:
                    raise NotAnswered("cosigns with a time that is still to come")
                return line, cosigned_at
            if answer.status == UNPROVEN:
                raise _Contradiction(f"says that the ledger of {offer.size} does not continue the {old} it has seen")
            if answer.status != CONFLICT:
                raise NotAnswered(f"answers with status {answer.status}")
            size = parse_decimal(answer.body.decode("latin-1").removesuffix("\n"))
            if size is None:
                raise NotAnswered("answers 409 without a size")
            with self._changed:
                newest = self._newest
            if size > newest:
                raise _Contradiction(f"has seen a ledger of {size}, and this one has {newest}")
            if size == old == offer.size:
                raise _Contradiction(f"has seen another ledger of {size}")
            with self._changed:
                seat.seen = Seen(size, seat.seen.cosigned, seat.seen.cosigned_at)
            if size > offer.size:
                raise NotAnswered(f"has {size} already")
        raise NotAnswered("answers 409 again and again")

    def _proof(self, old: int, size: int) -> list[bytes]:
        """Make a proof, again where the notary was just writing a tile."""
        assert self._tiles is not None, "it was started"
        for left in reversed(range(PROOF_TRIES)):
            try:
                return consistency_proof(self._tiles, old, size)
            except EvidenceFault:
                if not left:
                    raise
                time.sleep(PROOF_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    def _cosigned(self, seat: _Seat, offer: _Offer, line: str, cosigned_at: int) -> None:
        with self._changed:
            seat.busy, seat.seen = False, Seen(offer.size, offer.size, cosigned_at)
            if seat.contradicts:
                self._news.append(News(f"witness {quoted(seat.witness.name)} cosigns again", "nothing"))
            seat.retry_s, seat.trouble, seat.contradicts = 0.0, "", False
            offer.lines[seat.witness.name] = line
            if offer.size in self._offers:
                self._count(offer)
            self._changed.notify_all()

    def _failed(self, seat: _Seat, trouble: str, *, contradicts: bool = False) -> None:
        with self._changed:
            if contradicts and not seat.contradicts:
                action = "it does not cosign; compare the ledger with a kept checkpoint"
                self._news.append(News(f"witness {quoted(seat.witness.name)} {trouble}", action))
            seat.contradicts = seat.contradicts or contradicts
            seat.busy, seat.trouble = False, trouble
            seat.retry_s = min(2 * seat.retry_s, LONGEST_RETRY_S) if seat.retry_s else FIRST_RETRY_S
            if contradicts:
                seat.retry_s = CONTRADICTED_S
            seat.retry_at = self._clock() + seat.retry_s
            self._changed.notify_all()
