# SPDX-License-Identifier: Apache-2.0
"""A console behind TLS of its own, as the gate's certificate names it, and what it writes when it comes and goes."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from pathlib import Path

import pytest
from support.approvers import entries_of
from support.console import console
from support.servers import make_database, make_place
from throwaway_postgres import Postgres


def test_serves_tls_says_so_to_browsers_and_enters_its_run(server: Postgres, folder: Path) -> None:
    make_database(server, "console_tls")
    place = make_place(folder, server, "console_tls")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"https://localhost:{port}"
    context = ssl.create_default_context(cafile=place.gate.root)
    with console(place.gate, port=port, url=url, tls_certificate="server.crt", tls_key="file:server.key"):
        request = urllib.request.Request(f"{url}/api/v1/me")
        request.add_header("authorization", f"Bearer {place.key.token}")
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            assert json.load(answer)["subject"] == "helper"
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        old = ssl.create_default_context(cafile=place.gate.root)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="localhost")
    (start,) = entries_of(place, "control", "console.start")
    (stop,) = entries_of(place, "control", "console.stop")
    assert (start["url"], stop["cause"]) == (url, "told to stop")
    assert place.gate.run("ledger", "verify", check=False).returncode == 0
    told = place.gate.run("ledger", "report", check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_two_consoles_do_not_write_one_journal(server: Postgres, folder: Path) -> None:
    make_database(server, "console_two")
    place = make_place(folder, server, "console_two")
    with console(place.gate):
        done = place.gate.run("control", check=False)
    assert done.returncode == 1
    assert "whether another process writes this journal" in done.stderr
