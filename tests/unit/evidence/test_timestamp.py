# SPDX-License-Identifier: Apache-2.0
"""Time stamps of a real authority (`openssl ts`): what is proven, and each way in which nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from rfc3161_client import HashAlgorithm, TimeStampRequest, TimestampRequestBuilder, decode_timestamp_response
from support.timestamps import POLICY, YEAR, Authority

from gatebook.evidence.timestamp import MAX_RESPONSE_BYTES, TimestampFault, parse_roots, verify_timestamp

DATA = b"a checkpoint"


def request(data: bytes = DATA) -> TimeStampRequest:
    made = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    return made.nonce(nonce=True).cert_request(cert_request=True).build()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def asked() -> TimeStampRequest:
    return request()


@pytest.fixture(scope="module")
def answer(authority: Authority, asked: TimeStampRequest) -> bytes:
    return authority.reply(asked.as_bytes())


@pytest.fixture(scope="module")
def roots(authority: Authority) -> list[x509.Certificate]:
    return parse_roots(authority.roots.read_bytes())


def finding(response: bytes, roots: list[x509.Certificate], data: bytes = DATA, **more: object) -> str:
    with pytest.raises(TimestampFault) as caught:
        verify_timestamp(response, data, roots, **more)  # type: ignore[arg-type]  # as a test gives them
    return caught.value.finding


def test_says_time_signer_serial_and_policy(
    answer: bytes, asked: TimeStampRequest, roots: list[x509.Certificate]
) -> None:
    proven = verify_timestamp(answer, DATA, roots, POLICY, asked.nonce)
    assert abs(proven.time - datetime.now(UTC)) < timedelta(seconds=60)
    assert (proven.signer, proven.serial, proven.policy) == ("CN=Stamps", "2", POLICY)


def test_takes_certificates_in_whatever_order_openssl_writes_them(tmp_path: Path) -> None:
    unsorted = 0
    for number in range(20):
        authority = Authority(tmp_path / str(number))
        response = authority.reply(request().as_bytes())
        try:
            decode_timestamp_response(response)
        except ValueError:
            unsorted += 1
        assert verify_timestamp(response, DATA, parse_roots(authority.roots.read_bytes())).signer == "CN=Stamps"
        if unsorted:
            return
    pytest.skip("this openssl sorts certificates")


def test_is_of_these_bytes_and_answers_this_request(
    answer: bytes, asked: TimeStampRequest, roots: list[x509.Certificate]
) -> None:
    assert asked.nonce is not None
    assert finding(answer, roots, b"another checkpoint") == "timestamp_imprint"
    assert finding(answer, roots, nonce=asked.nonce + 1) == "timestamp_nonce"
    assert finding(answer, roots, policy="1.2.3.4.2") == "timestamp_policy"


def test_another_authority_of_the_same_name_is_not_believed(answer: bytes, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    assert finding(answer, parse_roots(other.roots.read_bytes())) == "timestamp_signature"


def test_an_authority_whose_certificate_has_run_out_is_not_believed(tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired", valid=(-YEAR, -YEAR / 2))
    response = expired.reply(request().as_bytes())
    assert finding(response, parse_roots(expired.roots.read_bytes())) == "timestamp_expired"


def test_without_the_certificate_of_who_signed_it_is_no_stamp(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "bare")
    bare = TimestampRequestBuilder().data(DATA).hash_algorithm(HashAlgorithm.SHA256).build()
    authority.is_chain_sent = False
    plain = TimestampRequestBuilder().data(DATA).hash_algorithm(HashAlgorithm.SHA256).cert_request().build()
    assert verify_fails(authority, plain) == "timestamp_form"
    assert verify_fails(authority, bare) == "timestamp_signature"  # the intermediate is not there


def verify_fails(authority: Authority, asked: TimeStampRequest) -> str:
    return finding(authority.reply(asked.as_bytes()), parse_roots(authority.roots.read_bytes()))


def test_a_refusal_is_none(authority: Authority, roots: list[x509.Certificate]) -> None:
    assert finding(authority.reply(b"\x30\x03\x02\x01\x01"), roots) == "timestamp_refused"


@pytest.mark.filterwarnings("ignore")  # of cryptography, for serial numbers that a changed byte makes
def test_no_changed_byte_gives_another_time(answer: bytes, roots: list[x509.Certificate]) -> None:
    good = verify_timestamp(answer, DATA, roots)
    refused = 0
    for at in range(len(answer)):
        changed = answer[:at] + bytes([answer[at] ^ 0x41]) + answer[at + 1 :]
        try:
            assert verify_timestamp(changed, DATA, roots) == good, at
        except TimestampFault:
            refused += 1
    assert refused > len(answer) - 40  # what CMS does not sign, and says nothing: versions, names of algorithms


def test_whatever_is_cut_or_no_der_has_one_error(answer: bytes, roots: list[x509.Certificate]) -> None:
    for end in range(0, len(answer), 3):
        assert finding(answer[:end], roots) == "timestamp_form"
    for junk in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"<html>", b"\x30\x80\x00\x00", bytes(100)):
        assert finding(junk, roots) == "timestamp_form"
    assert finding(answer + bytes(MAX_RESPONSE_BYTES), roots) == "timestamp_form"


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n", bytes(5 << 20)])
def test_roots_are_certificates(content: bytes) -> None:
    with pytest.raises(TimestampFault) as caught:
        parse_roots(content)
    assert caught.value.finding == "timestamp_roots"
