# SPDX-License-Identifier: Apache-2.0
"""`make demo`: an agent's psql goes through the gate; what the client saw beside what the book says, and both checked.

Run: .venv/bin/python examples/demo/run.py [--keep]
Exit status 0 if everything was as it should be.
"""

from __future__ import annotations

import argparse
import fcntl
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from acts import ACTS, Act, Seen  # noqa: E402  tools are on the path only now
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402
from stage import Stage, set_stage  # noqa: E402
from throwaway_gate import gatebook  # noqa: E402
from throwaway_postgres import PostgresMissing  # noqa: E402

FOLDER = ROOT / ".demo"
PLAIN_WIDTH = 150
STARTED = time.monotonic()


def main() -> int:
    """Play the demo."""
    parser = argparse.ArgumentParser(description="Show Gatebook's main job on a throwaway PostgreSQL.")
    parser.add_argument("--keep", action="store_true", help="leave PostgreSQL and the gate running until Ctrl-C")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True, highlight=False)
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("error: the demo runs already; end it with Ctrl-C where it was started", file=sys.stderr)
            return 1
        try:
            return _play(console, keep=options.keep)
        except PostgresMissing as missing:
            print(f"error: {missing}", file=sys.stderr)
        except (RuntimeError, OSError) as fault:
            print(f"error: {fault}", file=sys.stderr)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    return 1


def _play(console: Console, *, keep: bool) -> int:
    with set_stage(FOLDER / "gate", lambda words: _say(console, words)) as stage:
        console.print(f"\nThe agent connects as everybody does:\n  PGPASSWORD=<the key> psql {_quote(stage.conninfo)}")
        failures: list[str] = []
        sessions: list[str] = []
        refused = ""
        for number, act in enumerate(ACTS, 1):
            seen, session = stage.play(act)
            sessions.append(session["session"])
            refused = refused or next((o["operation"] for o in session["operations"] if o["refusal"]), "")
            _show(console, number, act, seen, session)
            found = act.check(seen, session["operations"], stage.ask)
            wrong = [f"act {number}, {act.title}: {words}" for words in found]
            for words in wrong:
                console.print(Text(f"  NOT AS IT SHOULD BE: {words}", style="bold red"))
            failures += wrong
        failures += _replay(console, stage, sessions[4])
        failures += _verify(console, stage, len(sessions))
        failures += _prove(console, stage, refused)
        console.print()
        for words in failures:
            console.print(Text(f"FAILED  {words}", style="bold red"))
        if not failures:
            _say(console, f"{len(ACTS)} acts, and everything was as it should be")
        _go_on(console, stage, sessions[4], keep=keep)
        if keep:
            try:
                signal.pause()
            except KeyboardInterrupt:
                _say(console, "stopping")
    return 1 if failures else 0


def _show(console: Console, number: int, act: Act, seen: Seen, session: dict[str, Any]) -> None:
    console.print()
    console.rule(Text(f"{number}. {act.title}", style="bold"), align="left", characters="-")
    console.print(Text(act.point, style="italic"))
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="bold cyan")
    table.add_column("what the client saw", ratio=1, overflow="fold")
    table.add_column("what the book says", ratio=1, overflow="fold")
    sent = "$ psql ..." + "\n   ".join(f" -c {_quote(sql)}" for sql in act.commands) + "\n"
    table.add_row(Text(sent, style="dim") + Text(seen.text.rstrip()), _book(session))
    console.print(table)
    if seen.approver:
        console.print(Text("what the approver saw, and did", style="bold cyan"))
        console.print(Text(seen.approver.rstrip()))


def _book(session: dict[str, Any]) -> Text:
    """Tell a session as the book has it: who, and each operation with its decision and its end."""
    words = Text()
    if not session["session"]:
        return words.append("no session that ended", style="bold red")
    words.append(f"{session['session']}\n", style="dim")
    words.append(f"{session['agent']} for {session['owner']}, as {session['role']} ({session['account']})\n\n")
    for operation in session["operations"]:
        allowed = operation["decision"] == "allow"
        number = operation["operation"].rpartition(".")[2]
        words.append(f"{number} {operation['verb']}: ")
        words.append("allowed" if allowed else "REFUSED", style="green" if allowed else "bold red")
        words.append(f" {_why(operation, allowed=allowed)}\n")
        for action, thing in operation["accesses"][:4]:
            words.append(f"    {action} {thing}\n", style="dim")
        if operation.get("approval"):
            words.append(f"    approved: {operation['approval']}\n", style="dim")
        words.append(f"    {_end(operation)}\n")
    words.append(f"\nended: {session['cause']}", style="dim")
    return words


def _why(operation: dict[str, Any], *, allowed: bool) -> str:
    """Which policies decided; a statement without a reason of its own falls with its message."""
    if not allowed and not operation["reasons"]:
        return "with its message"
    return f"by {', '.join(operation['policies']) or 'the lack of a permit'}"


def _end(operation: dict[str, Any]) -> str:
    if operation["refusal"]:
        return f"nothing was sent: {operation['refusal']}"
    state = f"{operation['status']} {operation['sqlstate']}".strip()
    return (
        f"{state}: {operation['tag'] or 'no tag'}, {operation['rows']} rows, {operation['duration_us'] / 1000:.1f} ms"
    )


def _replay(console: Console, stage: Stage, session: str) -> list[str]:
    """Replay the transaction as it was recorded."""
    console.print()
    console.rule(Text("the recording of act 5, replayed", style="bold"), align="left", characters="-")
    command = ("sessions", "replay", session, "--purpose", "demo")
    console.print(Text(f"$ gatebook {' '.join(command)}", style="dim"))
    done = stage.gate.run(*command, check=False)
    console.print(Text(done.stdout.rstrip() + done.stderr.rstrip()))
    shown = all(words in done.stdout for words in ("INSERT 0 1", "DROP TABLE payments", "ROLLBACK"))
    return [] if shown and done.returncode == 0 else ["the replay does not show INSERT, DROP TABLE and ROLLBACK"]


def _verify(console: Console, stage: Stage, sessions: int) -> list[str]:
    console.print()
    console.rule(Text("the book, verified", style="bold"), align="left", characters="-")
    console.print(Text("$ gatebook ledger verify", style="dim"))
    done = stage.gate.run("ledger", "verify", check=False)
    console.print(Text(done.stdout.rstrip() + done.stderr.rstrip()))
    if done.returncode:
        return ["gatebook ledger verify has findings"]
    recorded = len(stage.gate.sessions())
    return [] if recorded == sessions else [f"the book has {recorded} sessions in place of {sessions}"]


def _prove(console: Console, stage: Stage, operation: str) -> list[str]:
    """Make the receipt of a refusal, and verify it with nothing but the notary's key."""
    console.print()
    console.rule(
        Text("the refusal of act 2, proven to somebody who has only the key", style="bold"),
        align="left",
        characters="-",
    )
    file = stage.gate.folder / "refusal.tlog-proof"
    key = (stage.gate.data / "ledger" / "ledger.vkey").read_text().strip()
    stage.gate.run("receipt", "make", operation, "-o", str(file))
    console.print(Text(f"$ gatebook receipt make {operation} -o refusal.tlog-proof", style="dim"))
    console.print(Text(f"$ gatebook receipt verify refusal.tlog-proof --key {_quote(key)}", style="dim"))
    done = subprocess.run(
        [gatebook(), "receipt", "verify", str(file), "--key", key], capture_output=True, text=True, check=False
    )
    console.print(Text(done.stdout.rstrip() + done.stderr.rstrip()))
    proven = done.returncode == 0 and "operation.refused" in done.stdout and operation in done.stdout
    return [] if proven else ["the refusal is not proven by its receipt"]


def _go_on(console: Console, stage: Stage, session: str, *, keep: bool) -> None:
    """Print the commands to go on with by hand."""
    config = f"--config {stage.gate.config.relative_to(ROOT)}"
    agent = f"PGPASSWORD={stage.key.token} psql {_quote(stage.conninfo)}"
    looking = (
        f"sessions list {config}",
        f"sessions show {session} --text --purpose 'a look' {config}",
        f"sessions replay {session} --purpose 'a look' {config}",
        f"ledger verify {config}",
        f"policy explain --as {stage.key.agent} --group shop-agents --target shop 'DELETE FROM orders' {config}",
    )
    console.print("\nGo on by hand, in this folder:")
    if keep:
        console.print(Text(f"  {agent}", style="bold"), soft_wrap=True)
    for words in looking[: None if keep else 4]:
        console.print(Text(f"  .venv/bin/gatebook {words}"), soft_wrap=True)
    if keep:
        console.print(Text(f"  .venv/bin/gatebook key revoke {stage.key.id} {config}"), soft_wrap=True)
        console.print("PostgreSQL and the gate run until you press Ctrl-C here.")
    else:
        console.print("  make demo ARGS=--keep      # leaves PostgreSQL and the gate running, to be the agent yourself")


def _say(console: Console, words: str) -> None:
    console.print(Text(f"[{time.monotonic() - STARTED:5.1f} s] {words}"))


def _quote(words: str) -> str:
    return shlex.quote(words) if "'" not in words or '"' in words else f'"{words}"'


if __name__ == "__main__":
    sys.exit(main())
