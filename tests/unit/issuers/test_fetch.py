# SPDX-License-Identifier: Apache-2.0
"""Documents of issuers: over verified TLS, of the issuer that was asked, within bounds, and never by a redirect."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.issuers import LocalIssuer, local_issuer
from support.tokens import SigningKey, jwks
from throwaway_certificate import Certificates, write_certificates

from gatebook.issuers import fetch
from gatebook.issuers.fetch import FetchFault, KeyPlace, fetch_keys, keys_url

KEY = SigningKey.make()
DISCOVERY = "/.well-known/openid-configuration"


def place(issuer: LocalIssuer, *, keys: str = "", roots: Path | None = None, insecure: bool = True) -> KeyPlace:
    return KeyPlace(issuer.url, keys, roots, insecure)


def fault(where: KeyPlace) -> str:
    with pytest.raises(FetchFault) as caught:
        asyncio.run(fetch_keys(where))
    return str(caught.value)


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer([KEY]) as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("tls"))


def test_finds_the_keys_by_the_discovery_document(issuer: LocalIssuer) -> None:
    assert asyncio.run(fetch_keys(place(issuer))) == jwks(KEY)
    assert issuer.asked == [DISCOVERY, "/keys"]


def test_keys_at_a_configured_place_need_no_discovery(issuer: LocalIssuer) -> None:
    assert asyncio.run(fetch_keys(place(issuer, keys=f"{issuer.url}/keys"))) == jwks(KEY)
    assert issuer.asked == ["/keys"]


def test_speaks_verified_tls(certificates: Certificates) -> None:
    with local_issuer([KEY], (certificates.certificate, certificates.key)) as secure:
        assert asyncio.run(fetch_keys(place(secure, roots=certificates.root, insecure=False))) == jwks(KEY)
        assert "certificate verify failed" in fault(place(secure, insecure=False)).lower()
    with local_issuer([KEY], (certificates.certificate, certificates.key), host="127.0.0.2") as misnamed:
        assert "certificate verify failed" in fault(place(misnamed, roots=certificates.root, insecure=False)).lower()


def test_a_discovery_document_of_another_issuer_is_refused(issuer: LocalIssuer) -> None:
    document = {"issuer": f"{issuer.url}/", "jwks_uri": f"{issuer.url}/keys"}
    issuer.documents[DISCOVERY] = json.dumps(document).encode()
    assert "another issuer" in fault(place(issuer))
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "url", ["http://internal/keys", "file:///etc/passwd", "https://a@b/keys", "https:///keys", "", None, 1]
)
def test_a_discovery_document_that_points_outside_tls_is_refused(url: object) -> None:
    where = KeyPlace("https://issuer.example", "", None, insecure_loopback=False)
    document = json.dumps({"issuer": "https://issuer.example", "jwks_uri": url}).encode()
    with pytest.raises(FetchFault, match="no `jwks_uri` behind TLS"):
        keys_url(document, where)


def test_a_discovery_document_that_is_no_json_is_refused() -> None:
    with pytest.raises(FetchFault, match="not JSON"):
        keys_url(b"<html>", KeyPlace("https://issuer.example", "", None, insecure_loopback=False))


def test_keys_may_be_with_another_host_behind_tls() -> None:
    where = KeyPlace("https://issuer.example", "", None, insecure_loopback=False)
    document = b'{"issuer":"https://issuer.example","jwks_uri":"https://keys.example/v1?tenant=1"}'
    assert keys_url(document, where) == "https://keys.example/v1?tenant=1"


def test_no_redirect_is_followed(issuer: LocalIssuer) -> None:
    issuer.redirects["/keys"] = f"{issuer.url}/elsewhere"
    issuer.documents["/elsewhere"] = jwks(KEY)
    assert "answers with status 302" in fault(place(issuer))
    assert "/elsewhere" not in issuer.asked


def test_a_document_without_end_is_refused(issuer: LocalIssuer) -> None:
    issuer.documents["/keys"] = b" " * 300_000
    assert "more than 262144 bytes" in fault(place(issuer))


def test_an_issuer_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "takes longer than" in fault(KeyPlace(f"http://localhost:{port}", "", None, insecure_loopback=True))


def test_an_issuer_that_is_not_there_is_told_in_one_line(issuer: LocalIssuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = fault(KeyPlace(f"http://localhost:{port}", "", None, insecure_loopback=True))
    assert "cannot be fetched" in words
    assert "\n" not in words


def test_roots_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    where = KeyPlace("https://issuer.example", "", tmp_path / "none.crt", insecure_loopback=False)
    assert "cannot be read" in fault(where)
