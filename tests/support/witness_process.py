# SPDX-License-Identifier: Apache-2.0
"""`gatebook witness` in a process of its own, to be killed and started again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from support.witness import NOTARY

READY_S = 20.0


class Running:
    """A witness in a process of its own."""

    def __init__(self, folder: Path, *more: str, log: str = NOTARY.verifier.text(), port: int = 0) -> None:
        words = ["--folder", str(folder), "--log", log, "--port", str(port), *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gatebook", "witness", *words], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.fullmatch(r"the witness listens at (http://\S+:(\d+)); its verifier key: (\S+)\n", line)
        assert found is not None, line
        self.url, self.port, self.key = found[1], int(found[2]), found[3]

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        with self.process:
            self.process.send_signal(how)
            return self.process.wait(READY_S)
