# SPDX-License-Identifier: Apache-2.0
"""How fast a sealed book leaves: entries a second to a receiver on this machine, over HTTP and into a file.

Run: python bench/export.py [ENTRIES]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.serve.fresh import now
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.notary import Folders, Notary

ENTRIES = 200_000
WORDS = "w" * 900  # an entry of an operation has some 1,000 bytes
SEGMENT_BYTES = 64 << 20
CONFIG = """
[gate]
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:NONE"

[policy]
folder = "policies"

[ledger]
origin = "bench.example/gatebook"

[[export]]
name = "http"
url = "http://127.0.0.1:{port}/"

[[export]]
name = "file"
url = "file:book.jsonl"
"""


class Receiver(BaseHTTPRequestHandler):
    """Reads what comes, and acknowledges it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Acknowledge a batch."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that the base class gives it
        """Say nothing."""


def make_book(root: Path, entries: int) -> None:
    """Write a journal and seal it."""
    with JournalWriter.open(root / "journal", "gate", sync="privileged", segment_bytes=SEGMENT_BYTES) as journal:
        stamp = Stamp("gate", now())
        for number in range(entries):
            journal.append(builders.failure(stamp, what=WORDS, action=str(number)), durable=False)
    folders = Folders(root / "journal", root / "ledger", root / "notary")
    notary = Notary.open(folders, "bench.example/gatebook", bytes(32), SystemDisk())
    while notary.seal().entries:
        pass
    notary.close()


def send(config: Path, name: str) -> float:
    """Send the book by a process of its own; the seconds that it took, start included."""
    began = time.monotonic()
    command = [sys.executable, "-m", "gatebook", "export", "once", name, "--config", str(config)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="gbexport-") as folder:
        root = Path(folder)
        (root / "gatebook.toml").write_text(CONFIG.format(port=server.server_port))
        make_book(root / "data", entries)
        for name in ("http", "file"):
            seconds = send(root / "gatebook.toml", name)
            print(f"{name}: {entries:,} entries in {seconds:.1f} s, {entries / seconds:,.0f} a second")
    server.shutdown()


if __name__ == "__main__":
    main()
