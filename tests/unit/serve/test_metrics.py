# SPDX-License-Identifier: Apache-2.0
"""The counters as Prometheus reads them."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gatebook.model.errors import OperatorFault
from gatebook.notify.outbox import OutboxFault, Standing
from gatebook.serve.metrics import NotifyCounters, serve_metrics
from gatebook.vault.outgoing import ExportStanding

NAMES = (
    "connections turned_away live admitted sessions cache_hits cache_misses questions silences open_tickets "
    "client_in_bytes client_out_bytes upstream_in_bytes upstream_out_bytes entries"
)
COUNTS = {name: number for number, name in enumerate(NAMES.split(), start=100)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_every_counter_of_the_carrier_is_a_metric_with_its_value() -> None:
    port = free_port()
    with serve_metrics(lambda: COUNTS, "127.0.0.1", port):
        families = list(text_string_to_metric_families(page(port)))
    values = {sample.name: sample.value for family in families for sample in family.samples}
    assert values["gatebook_decisions_kept_hits_total"] == COUNTS["cache_hits"]
    assert values["gatebook_sessions_open"] == COUNTS["sessions"]
    assert sorted(values.values()) == sorted(COUNTS.values())
    assert all(family.documentation for family in families)


def test_values_are_read_when_they_are_asked_for() -> None:
    port, counts = free_port(), dict(COUNTS)
    with serve_metrics(lambda: counts, "127.0.0.1", port):
        assert "gatebook_sessions_open 104.0" in page(port)
        counts["sessions"] = 7
        assert "gatebook_sessions_open 7.0" in page(port)


def test_exports_tell_how_far_behind_they_are_and_one_that_refuses_does_not() -> None:
    siem = ExportStanding("siem", 5, 7, 2.5, None, "", "", alarm=False, runs=True, refused="")
    file = ExportStanding("file", 5, 0, 0.0, None, "", "", alarm=False, runs=False, refused="export_cursor: cut")
    port = free_port()
    with serve_metrics(lambda: COUNTS, "127.0.0.1", port, lambda: [siem, file]):
        lines = [line for line in page(port).splitlines() if line.startswith("gatebook_export")]
    assert lines == [
        'gatebook_export_behind_entries{export="siem"} 7.0',
        'gatebook_export_behind_seconds{export="siem"} 2.5',
        'gatebook_export_refused{export="siem"} 0.0',
        'gatebook_export_refused{export="file"} 1.0',
    ]


def test_receivers_of_notifications_tell_what_waits_and_an_unreadable_queue_tells_nothing() -> None:
    since = datetime.fromtimestamp(1000, UTC)
    pager = Standing("pager", 3, since, "status 500", since, None, None, None)
    ops = Standing("ops", 0, None, "", None, None, None, since)
    told = {
        (sample.name, sample.labels["receiver"]): sample.value
        for family in NotifyCounters(lambda: [pager, ops], lambda: 1007.5).collect()
        for sample in family.samples
    }
    assert told == {
        ("gatebook_notify_waiting", "pager"): 3.0,
        ("gatebook_notify_waiting", "ops"): 0.0,
        ("gatebook_notify_waiting_seconds", "pager"): 7.5,
        ("gatebook_notify_waiting_seconds", "ops"): 0.0,
        ("gatebook_notify_gone", "pager"): 0.0,
        ("gatebook_notify_gone", "ops"): 1.0,
    }

    def unreadable() -> list[Standing]:
        raise OutboxFault("cut")

    assert list(NotifyCounters(unreadable).collect()) == []
    port = free_port()
    with serve_metrics(lambda: COUNTS, "127.0.0.1", port, notify=lambda: [pager]):
        assert 'gatebook_notify_waiting{receiver="pager"} 3.0' in page(port)


def test_nothing_is_served_at_port_zero_and_nothing_behind_the_end() -> None:
    with serve_metrics(lambda: COUNTS, "127.0.0.1", 0):
        pass
    port = free_port()
    with serve_metrics(lambda: COUNTS, "127.0.0.1", port):
        page(port)
    with pytest.raises(urllib.error.URLError):
        page(port)


def test_a_port_that_is_taken_is_the_operators_to_change() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with (
            pytest.raises(OperatorFault, match="metrics cannot be served"),
            serve_metrics(lambda: COUNTS, "127.0.0.1", port),
        ):
            pass


def test_a_gate_that_refuses_without_witnesses_tells_their_age() -> None:
    port = free_port()
    with serve_metrics(lambda: COUNTS | {"witnessed_age_s": 3, "halted": 1}, "127.0.0.1", port):
        told = page(port)
    assert "gatebook_witnessed_age_seconds 3.0" in told
    assert "gatebook_refusing_unwitnessed 1.0" in told
