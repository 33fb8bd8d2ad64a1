# SPDX-License-Identifier: Apache-2.0
"""A console that serves beside a gate, in a process of its own, and a browser with a passkey before it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throwaway_gate import Gate, gatebook, wait_for_port

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


@dataclass(frozen=True, slots=True)
class Running:
    """A console that serves."""

    url: str
    gate: Gate
    log: Path

    def enrolment(self, person: str) -> str:
        """Return a link with which a person makes a passkey."""
        told = self.gate.ask("person", "passkey", person)
        assert isinstance(told, dict)
        return str(told["link"])

    def ask(
        self, path: str, *, bearer: str = "", body: object = None, method: str = "", cookie: str = ""
    ) -> tuple[int, Any]:
        """Ask the API; the status, and the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method or ("GET" if data is None else "POST"))
        request.add_header("content-type", "application/json")
        if bearer:
            request.add_header("authorization", f"Bearer {bearer}")
        if cookie:
            request.add_header("cookie", cookie)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as fault:
            return fault.code, json.load(fault)


@contextmanager
def console(gate: Gate, port: int = 0, **settings: object) -> Iterator[Running]:
    """Serve the console of a gate's folder; `settings` are those of `[control]`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = port or probe.getsockname()[1]
    with gate.config.open("a") as file:
        told = {"port": port, **settings}
        file.write("\n[control]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
    log = gate.folder / "control.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            [gatebook(), "control", "--config", str(gate.config)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            env=os.environ | gate.environment,
        )
    try:
        wait_for_port(port, process, log)
        yield Running(f"http://localhost:{port}", gate, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
