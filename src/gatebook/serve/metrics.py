# SPDX-License-Identifier: Apache-2.0
"""The counters of a running gate, for Prometheus: how much passes, how often Python is asked, how often it is not.

No label names an agent, a target or a statement: what they did is in the book. Exports and receivers of
notifications are named. The page is served on a thread of its own, which reads the carrier's counters and the files of
exports when it is asked, and holds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gatebook.model.errors import OperatorFault, quoted
from gatebook.notify.outbox import OutboxFault, Standing
from gatebook.vault.outgoing import ExportStanding

# (the carrier's counter, whether it only grows, its name here, what it counts)
_ROWS: Final = (
    ("connections", True, "connections", "Connections accepted."),
    (
        "turned_away",
        True,
        "connections_turned_away",
        "Connections closed at once: too many were there, or had not logged in.",
    ),
    ("live", False, "connections_open", "Connections now."),
    ("admitted", True, "sessions_admitted", "Sessions admitted."),
    ("sessions", False, "sessions_open", "Sessions now."),
    ("cache_hits", True, "decisions_kept_hits", "Messages that a kept decision answered."),
    ("cache_misses", True, "decisions_kept_misses", "Messages that no kept decision answered."),
    ("questions", True, "questions", "Logins and messages that Python was asked about."),
    ("silences", True, "questions_silent", "Of these, refused because no answer came in time."),
    ("open_tickets", False, "questions_open", "Of these, open now."),
    ("client_in_bytes", True, "client_received_bytes", "Bytes received from clients."),
    ("client_out_bytes", True, "client_sent_bytes", "Bytes sent to clients."),
    ("upstream_in_bytes", True, "upstream_received_bytes", "Bytes received from targets."),
    ("upstream_out_bytes", True, "upstream_sent_bytes", "Bytes sent to targets."),
    ("entries", True, "journal_entries", "Entries of the journal over its life."),
)
# As above; only where the gate refuses without witnesses.
_WITNESSED: Final = (
    ("witnessed_age_s", False, "witnessed_age_seconds", "Age of the newest checkpoint with a quorum; -1 for none."),
    ("halted", False, "refusing_unwitnessed", "1 while everything new is refused because that is too old."),
)


class Counters(Collector):
    """Turns the carrier's counters into metrics; `read` may be called from any thread."""

    def __init__(self, read: Callable[[], dict[str, int]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its value now."""
        counts = self._read()
        for counter, grows, name, words in (*_ROWS, *(row for row in _WITNESSED if row[0] in counts)):
            family = CounterMetricFamily if grows else GaugeMetricFamily
            yield family(f"gatebook_{name}", words, value=counts[counter])


class ExportCounters(Collector):
    """Turns how exports stand into metrics; `read` may be called from any thread."""

    def __init__(self, read: Callable[[], Sequence[ExportStanding]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its value now; how far behind one that refuses is, nobody knows."""
        entries = GaugeMetricFamily(
            "gatebook_export_behind_entries", "Sealed entries that are not acknowledged.", labels=["export"]
        )
        seconds = GaugeMetricFamily(
            "gatebook_export_behind_seconds", "Seconds that the first of these has waited.", labels=["export"]
        )
        refused = GaugeMetricFamily(
            "gatebook_export_refused", "Whether ledger or cursor are not what was acknowledged.", labels=["export"]
        )
        for one in self._read():
            refused.add_metric([one.name], bool(one.refused))
            if not one.refused:
                entries.add_metric([one.name], one.behind)
                seconds.add_metric([one.name], one.waiting_s)
        return (entries, seconds, refused)


class NotifyCounters(Collector):
    """Turns how receivers of notifications stand into metrics; `read` may be called from any thread."""

    def __init__(self, read: Callable[[], Sequence[Standing]], now_s: Callable[[], float] = time.time) -> None:
        self._read = read
        self._now_s = now_s

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its value now; none where the queue cannot be read."""
        waiting = GaugeMetricFamily(
            "gatebook_notify_waiting", "Messages that the receiver has not taken.", labels=["receiver"]
        )
        seconds = GaugeMetricFamily(
            "gatebook_notify_waiting_seconds", "Seconds that the oldest of these has waited.", labels=["receiver"]
        )
        gone = GaugeMetricFamily(
            "gatebook_notify_gone", "Whether nothing is sent any more since it answered with 410.", labels=["receiver"]
        )
        try:
            standings = self._read()
        except OutboxFault:
            return ()
        for one in standings:
            since = one.waiting_since.timestamp() if one.waiting_since else self._now_s()
            waiting.add_metric([one.name], one.waiting)
            seconds.add_metric([one.name], max(0.0, self._now_s() - since))
            gone.add_metric([one.name], one.gone_at is not None)
        return (waiting, seconds, gone)


@contextmanager
def serve_metrics(
    read: Callable[[], dict[str, int]],
    host: str,
    port: int,
    exports: Callable[[], Sequence[ExportStanding]] | None = None,
    notify: Callable[[], Sequence[Standing]] | None = None,
) -> Iterator[None]:
    """Serve the metrics at `http://host:port/metrics` as long as the context lasts; port 0 serves nothing.

    `exports` and `notify` tell how exports and receivers of notifications stand, None where there are none.
    OperatorFault if the address cannot be had.
    """
    if port == 0:
        yield
        return
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counters(read))
    if exports is not None:
        registry.register(ExportCounters(exports))
    if notify is not None:
        registry.register(NotifyCounters(notify))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as fault:
        words = f"metrics cannot be served at {quoted(f'{host}:{port}')}: {fault.strerror or fault}"
        raise OperatorFault(words, "set `gate.metrics_port` to a free port, or to 0") from fault
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
