# SPDX-License-Identifier: Apache-2.0
"""Archives of bundles: read by other tools, in one form, bounded."""

from __future__ import annotations

import io
import zipfile
import zlib

import pytest

from gatebook.evidence import bundle_archive
from gatebook.evidence.bundle_archive import ArchiveFault, ArchiveWriter, encode_archive, is_name, parse_archive

MEMBERS = [("README.txt", b"words"), ("recordings/s_1.rec", b"\0" * 70), ("empty", b"")]


def test_another_tool_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(encode_archive(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == MEMBERS
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


def test_is_read_as_it_was_written() -> None:
    assert [(member.name, bytes(member.data)) for member in parse_archive(encode_archive(MEMBERS))] == MEMBERS
    assert parse_archive(encode_archive([])) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_refuses_what_another_tool_packed(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("README.txt", b"words" * 20)
    with pytest.raises(ArchiveFault):
        parse_archive(out.getvalue())


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "a/b/c/d", "ä", "a b", "a\0", "x" * 201]
)
def test_refuses_names_that_leave_the_folder_or_surprise(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ArchiveFault):
        encode_archive([(name, b"")])


def test_refuses_such_a_name_in_an_archive_of_somebody_else() -> None:
    data = encode_archive([("aa/b", b"x")]).replace(b"aa/b", b"../b")
    with pytest.raises(ArchiveFault, match="a name that none may have"):
        parse_archive(data)


def test_refuses_a_member_twice() -> None:
    data = encode_archive([("one", b"x"), ("two", b"y"), ("oNe", b"z")]).replace(b"oNe", b"one")
    with pytest.raises(ArchiveFault, match="`one` is there twice"):
        parse_archive(data)


def test_refuses_a_byte_before_between_or_behind() -> None:
    data = encode_archive(MEMBERS)
    second = data.index(b"PK\x03\x04", 4)
    for odd in (b"\0" + data, data + b"\0", data[:second] + b"\0" + data[second:], data[:-1], data[:40], data[:9], b""):
        with pytest.raises(ArchiveFault):
            parse_archive(odd)


def test_names_the_member_whose_bytes_are_others() -> None:
    with pytest.raises(ArchiveFault, match=r"`README\.txt` is not what its checksum says") as fault:
        parse_archive(encode_archive(MEMBERS).replace(b"words", b"wards"))
    assert fault.value.finding == "bundle_member"


def test_refuses_more_than_a_bundle_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_archive(MEMBERS)
    monkeypatch.setattr(bundle_archive, "MAX_MEMBERS", 2)
    with pytest.raises(ArchiveFault):
        parse_archive(data)
    with pytest.raises(ArchiveFault):
        encode_archive(MEMBERS)
    monkeypatch.setattr(bundle_archive, "MAX_MEMBERS", 3)
    monkeypatch.setattr(bundle_archive, "MAX_ARCHIVE_BYTES", 300)
    with pytest.raises(ArchiveFault, match="longer than 2 GiB"):
        parse_archive(data)
    with pytest.raises(ArchiveFault, match="longer than 2 GiB"):
        encode_archive(MEMBERS)


@pytest.mark.parametrize(("pieces", "size"), [([b"ab", b"c"], 3), ([b"ab"], 3), ([b"abc", b"d"], 3)])
def test_a_member_that_changes_while_it_is_read_is_refused(pieces: list[bytes], size: int) -> None:
    out = bytearray()
    writer = ArchiveWriter(out.extend)
    if b"".join(pieces) == b"abc":
        writer.add("x", size, zlib.crc32(b"abc"), pieces)
    else:
        with pytest.raises(ArchiveFault, match="changed while it was read"):
            writer.add("x", size, zlib.crc32(b"abc"), pieces)
