# SPDX-License-Identifier: Apache-2.0
"""The keys of all issuers as of now, and the tokens that were spent.

Keys are read in the background, every `refresh_s` of their issuer, and once more when a token names a key that is not
known: at most once in `LOOK_AGAIN_S`, or tokens made up by anybody would be a hammer on the issuer. While an issuer
cannot be reached its last good keys serve for `keep_keys_s` longer; then its tokens are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from gatebook.config import IssuerSettings
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.identity.issuer import Issuer
from gatebook.identity.jose import JoseFault, PublicKey, parse_keys
from gatebook.identity.token import Hint
from gatebook.issuers.fetch import FetchFault, KeyPlace
from gatebook.model.principal import PrincipalKind

LOOK_AGAIN_S: Final = 15.0  # between readings that somebody outside can cause
RETRY_S: Final = 15.0  # between readings while the issuer cannot be reached
POLL_S: Final = 1.0
SPENT: Final = 100_000  # LIMIT: one-time tokens remembered; beyond it they are refused until some have run out

Fetch = Callable[[KeyPlace], Awaitable[bytes]]

_log = structlog.get_logger("gatebook.keys")


@dataclass(frozen=True, slots=True)
class KeysRead:
    """The keys of an issuer are others than before, or there for the first time."""

    issuer: str
    keys: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeysMissed:
    """The keys of an issuer cannot be read any more."""

    issuer: str
    words: str


def describe(stamp: Stamp, report: KeysRead | KeysMissed) -> bytes:
    """Return the entry that tells a report."""
    if isinstance(report, KeysRead):
        return builders.issuer_keys(
            stamp, issuer=report.issuer, keys=report.keys, added=report.added, removed=report.removed
        )
    what = f"keys of issuer {report.issuer} cannot be read: {report.words}"
    return builders.failure(stamp, what=what, action="the last good keys serve for a bounded time, then none")


Report = Callable[[KeysRead | KeysMissed], None]


@dataclass(slots=True)
class _Known:
    """One issuer and what is known of its keys. Moments are those of a clock that never goes back."""

    settings: IssuerSettings
    issuer: Issuer
    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    read_at: float | None = None
    tried_at: float | None = None
    is_failing: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_due(self, moment: float) -> bool:
        """Whether the background reads again."""
        if self.tried_at is None:
            return True
        return moment - self.tried_at >= (RETRY_S if self.is_failing else self.settings.refresh_s)

    def may_serve(self, moment: float) -> bool:
        """Whether the last good keys still count."""
        kept = self.settings.refresh_s + self.settings.keep_keys_s
        return self.read_at is not None and moment - self.read_at <= kept


class TokenKeys:
    """All issuers. A `TokenBook` whose answers never wait; `prepare` and `poll` are what fetches.

    `monotonic` gives seconds that never go back, `now` the aware moment.
    """

    def __init__(
        self, fetch: Fetch, monotonic: Callable[[], float], now: Callable[[], datetime], report: Report
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._now = now
        self._report = report
        self._started = now().replace(microsecond=0)  # tokens tell whole seconds
        self._known: dict[str, _Known] = {}
        self._spent: dict[tuple[str, str], datetime] = {}

    def replace(self, issuers: Sequence[IssuerSettings]) -> None:
        """Trust these issuers from now on. Keys of one whose settings are unchanged, and spent tokens, are kept."""
        before = self._known
        self._known = {}
        for settings in issuers:
            known = before.get(settings.url)
            same = known is not None and known.settings == settings
            self._known[settings.url] = known if same and known else _Known(settings, make_issuer(settings))

    # ── the answers of a TokenBook ──

    def find_issuer(self, url: str) -> Issuer | None:
        """See `TokenBook`."""
        known = self._known.get(url)
        return known.issuer if known else None

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        """See `TokenBook`."""
        known = self._known.get(issuer)
        return known.keys.get(key_id) if known and known.may_serve(self._monotonic()) else None

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:
        """See `TokenBook`."""
        if issued < self._started or (issuer, token_id) in self._spent:
            return False
        if len(self._spent) >= SPENT:
            moment = self._now()
            self._spent = {token: end for token, end in self._spent.items() if end > moment}
            if len(self._spent) >= SPENT:
                return False
        self._spent[issuer, token_id] = until
        return True

    # ── what fetches ──

    async def prepare(self, hint: Hint) -> None:
        """Before a token is verified: look for the key that it names, if it is not known and it is time to look."""
        known = self._known.get(hint.issuer)
        if known is None or hint.key_id in known.keys:
            return
        async with known.lock:  # whoever waited here finds what the first one read
            moment = self._monotonic()
            looked = known.tried_at is not None and moment - known.tried_at < LOOK_AGAIN_S
            if hint.key_id not in known.keys and not looked:
                await self._read(known)

    async def poll(self) -> None:
        """Keep all keys current, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(POLL_S)

    async def refresh(self) -> None:
        """Read the keys that are due, of all issuers at once."""
        due = [known for known in self._known.values() if known.is_due(self._monotonic())]
        await asyncio.gather(*(self._refresh(known) for known in due))

    async def _refresh(self, known: _Known) -> None:
        async with known.lock:
            if known.is_due(self._monotonic()):
                await self._read(known)

    async def _read(self, known: _Known) -> None:
        settings = known.settings
        place = KeyPlace(settings.url, settings.keys_url, settings.tls_roots, settings.insecure_loopback)
        known.tried_at = self._monotonic()
        try:
            keys = parse_keys(await self._fetch(place))
        except (FetchFault, JoseFault) as fault:
            _log.warning("keys of an issuer cannot be read", issuer=settings.name, fault=str(fault))
            if not known.is_failing:
                self._report(KeysMissed(settings.url, str(fault)))
            known.is_failing = True
            return
        # A key under an old name is a new key.
        before = {(key.id, key.thumbprint) for key in known.keys.values()}
        after = {(key.id, key.thumbprint) for key in keys.values()}
        first = known.read_at is None
        known.keys, known.read_at, known.is_failing = keys, known.tried_at, False
        if first or before != after:
            added, removed = (tuple(sorted(name for name, _ in part)) for part in (after - before, before - after))
            self._report(KeysRead(settings.url, tuple(sorted(keys)), added, removed))


def make_issuer(settings: IssuerSettings) -> Issuer:
    """Return the issuer as verification wants it."""
    return Issuer(
        url=settings.url,
        kind=PrincipalKind(settings.kind),
        audiences=settings.audience,
        algorithms=settings.algorithms,
        types=tuple(kind.lower().removeprefix("application/") for kind in settings.types),
        lifetime_s=settings.lifetime_s,
        one_time=settings.one_time,
        user_claims=settings.user_claims,
        groups_claim=settings.groups_claim,
        groups_prefix=settings.groups_prefix,
        groups=settings.groups,
        required=settings.require,
    )
