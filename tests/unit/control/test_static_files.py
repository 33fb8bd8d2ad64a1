# SPDX-License-Identifier: Apache-2.0
"""Files of browsers: named by their hash, and what is not ours is what its maker published."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.control import Desk

from gatebook.control import static_files
from gatebook.control.rendering import HTMX
from gatebook.control.static_files import address_of, find_static, load_static

VENDOR = Path(static_files.__file__).parent / "static/vendor"


def test_vendored_files_are_those_of_the_manifest_and_no_other() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()} - {"manifest.json"}
    told = {
        f"{folder}/{name}": digest for folder, package in manifest.items() for name, digest in package["files"].items()
    }
    assert there == told.keys()
    for name, digest in told.items():
        assert digest == "sha256:" + hashlib.sha256((VENDOR / name).read_bytes()).hexdigest(), name
    for folder, package in manifest.items():
        assert package["licence"]
        assert package["integrity"].startswith("sha512-")
        assert f"{folder}/LICENSE" in there
    assert HTMX.removeprefix("vendor/") in there


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name, file in load_static().items():
        if not name.startswith("vendor/"):
            assert b"://" not in file.content.replace(b"http://www.w3.org", b""), name


def test_a_file_is_sent_under_its_hash_alone_and_may_be_kept(desk: Desk) -> None:
    answer = desk.ask("GET", address_of("console.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["", "x", "x/console.css", "../access.py", "vendor/manifest.json", "0/vendor/htmx@4.0.1/LICENSE"]
)
def test_nothing_else_is_sent(path: str) -> None:
    assert find_static(path) is None
