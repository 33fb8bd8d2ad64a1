# SPDX-License-Identifier: Apache-2.0
"""Client certificates: each check fails for its own reason, and no authority speaks for another's names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from support.certificates import SERVER, Made, Maker, hosts, name_of, spiffe, usage

from gatebook.identity.authority import Authority, NameKind
from gatebook.identity.certificate import CHAIN, CHAIN_BYTES, verify
from gatebook.model.principal import Check, Identified, NotIdentified, PrincipalKind, Subject

NOW = datetime(2026, 11, 25, 3, 4, 5, tzinfo=UTC)
ROOT, OTHER = Maker.root(now=NOW), Maker.root("other", now=NOW)
ID = "spiffe://prod.example/agents/order-bot"
WORKLOADS = Authority(
    "workloads",
    PrincipalKind.AGENT,
    NameKind.SPIFFE,
    (ROOT.der,),
    86_400,
    trust_domain="prod.example",
    groups=("shop-agents",),
)
MACHINES = Authority("machines", PrincipalKind.AGENT, NameKind.DNS, (OTHER.der,), 86_400)
PEOPLE = Authority("people", PrincipalKind.PERSON, NameKind.CN, (OTHER.der,), 86_400)
LEAF = x509.BasicConstraints(ca=False, path_length=None)
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
NAMES = ["size", "form", "authority", "validity", "usage", "constraints", "names", "domain", "lifetime"]


def svid(*ids: str, maker: Maker = ROOT, **words: object) -> Made:
    usual: dict[str, object] = {"key_usage": usage("digital_signature"), "constraints": LEAF, "now": NOW}
    return maker.issue(name_of("svid"), spiffe(*(ids or (ID,))), **(usual | words))  # type: ignore[arg-type]  # a test's words


def accepted(made: Made, *authorities: Authority, now: datetime = NOW) -> Identified:
    answer = verify(made.shown, authorities or (WORKLOADS, MACHINES), now)
    assert isinstance(answer, Identified), answer
    return answer


def failed(made: Made, *authorities: Authority, now: datetime = NOW) -> str:
    answer = verify(made.shown, authorities or (WORKLOADS, MACHINES), now)
    assert isinstance(answer, NotIdentified)
    return answer.failed


def test_an_svid_is_its_spiffe_id_in_its_trust_domain() -> None:
    made = svid()
    answer = accepted(made)
    principal = answer.principal
    assert principal.subject == Subject("spiffe://prod.example", ID)
    assert (principal.kind, principal.owner, principal.chain) == (PrincipalKind.AGENT, None, (principal.subject,))
    assert (principal.method, principal.groups) == ("certificate", ("shop-agents",))
    assert principal.credential == "sha256:" + hashlib.sha256(made.der).hexdigest()
    assert answer.names == (ID, "order-bot")
    assert answer.checks == tuple(Check(name, passed=True) for name in NAMES)
    assert answer.ends_at == NOW + timedelta(days=1, minutes=-5)
    assert dict(answer.certificate) == {
        "authority": "workloads",
        "serial": f"{made.certificate.serial_number:x}",
        "issuer": "CN=root",
        "subject": "CN=svid",
        "not_before": "2026-11-25T02:59:05Z",
        "not_after": "2026-11-26T02:59:05Z",
    }


def test_a_host_name_or_a_common_name_is_the_subject_where_the_authority_says_so() -> None:
    answer = accepted(OTHER.issue(name_of("x"), hosts("bot.agents.example"), now=NOW))
    assert answer.principal.subject == Subject("x509:machines", "bot.agents.example")
    assert answer.names == ("bot.agents.example",)
    answer = accepted(OTHER.issue(name_of("Ann"), now=NOW), PEOPLE)
    assert answer.principal.subject == Subject("x509:people", "Ann")
    assert (answer.principal.kind, answer.principal.chain) == (PrincipalKind.PERSON, ())


def test_a_certificate_below_an_intermediate_needs_it_and_ends_no_later() -> None:
    middle = ROOT.below(now=NOW, days=1)
    made = svid(maker=middle, now=NOW + timedelta(minutes=1))
    assert accepted(made, now=NOW + timedelta(minutes=2)).ends_at == middle.certificate.not_valid_after_utc
    assert failed(replace(made, above=())) == "authority"


def test_nothing_shown_too_much_or_too_many_is_refused_unread() -> None:
    made = svid()
    for shown in ((), (made.der,) * (CHAIN + 1), (made.der, bytes(CHAIN_BYTES))):
        answer = verify(shown, (WORKLOADS,), NOW)
        assert isinstance(answer, NotIdentified)
        assert answer.failed == "size"
        assert answer.certificate == ()


@pytest.mark.parametrize("der", [b"", b"garbage", svid().der[:-1], svid().der + b"\x00"])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    for shown in ((der,), (svid().der, der)):
        answer = verify(shown, (WORKLOADS,), NOW)
        assert isinstance(answer, NotIdentified)
        assert answer.failed == "form"


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(1, 255))
@pytest.mark.filterwarnings("ignore")  # the library warns of what it accepts and we refuse
def test_bytes_that_were_changed_identify_nobody(garbage: bytes, at: int, flip: int) -> None:
    der = bytearray(FLIPPED)
    der[at % len(der)] ^= flip
    for shown in ((garbage,), (bytes(der),)):
        assert isinstance(verify(shown, (WORKLOADS,), NOW), NotIdentified)


FLIPPED = svid().der


@pytest.mark.filterwarnings("ignore")  # as above
def test_each_byte_of_a_certificate_changed_in_each_bit_identifies_nobody() -> None:
    for at in range(len(FLIPPED)):
        for bit in range(8):
            der = bytearray(FLIPPED)
            der[at] ^= 1 << bit
            assert isinstance(verify((bytes(der),), (WORKLOADS,), NOW), NotIdentified), (at, bit)


def test_another_root_under_the_same_name_vouches_for_nothing() -> None:
    assert failed(svid(maker=Maker.root(now=NOW))) == "authority"


def test_no_authority_speaks_for_the_names_of_another() -> None:
    # a SPIFFE ID of the workloads' trust domain, signed by the machines' root
    assert failed(svid(maker=OTHER)) == "names"
    elsewhere = replace(MACHINES, names=NameKind.SPIFFE, trust_domain="other.example")
    assert failed(svid(maker=OTHER), WORKLOADS, elsewhere) == "domain"
    # and a host name signed by the workloads' root
    assert failed(ROOT.issue(names=hosts("bot.agents.example"), now=NOW)) == "names"


def test_a_certificate_that_two_authorities_vouch_for_is_nobodys() -> None:
    assert failed(svid(), WORKLOADS, replace(WORKLOADS, name="twin", trust_domain="other.example")) == "authority"
    assert isinstance(verify(svid().shown, (), NOW), NotIdentified)


def test_a_certificate_serves_from_its_first_second_to_its_last() -> None:
    made = svid()
    begins, ends = made.certificate.not_valid_before_utc, made.certificate.not_valid_after_utc
    second = timedelta(seconds=1)
    assert failed(made, now=begins - second) == "validity"
    accepted(made, now=begins)
    accepted(made, now=ends - second)
    assert failed(made, now=ends) == "validity"


def test_a_root_that_ran_out_vouches_for_nothing() -> None:
    later = NOW + timedelta(days=3650)
    assert failed(svid(now=later), now=later) == "authority"


def test_a_certificate_for_servers_opens_nothing() -> None:
    assert failed(svid(purposes=SERVER)) == "usage"
    assert failed(svid(purposes=())) == "usage"
    assert failed(svid(purposes=(x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))) == "usage"


@pytest.mark.parametrize(
    ("constraints", "key_usage"),
    [
        (AUTHORITY, usage("digital_signature")),
        (LEAF, usage("digital_signature", "key_cert_sign")),
        (LEAF, usage("digital_signature", "crl_sign")),
        (LEAF, usage("key_encipherment")),
    ],
)
def test_a_certificate_of_an_authority_is_no_clients(
    constraints: x509.BasicConstraints, key_usage: x509.KeyUsage
) -> None:
    assert failed(svid(constraints=constraints, key_usage=key_usage)) == "constraints"


def test_a_key_without_stated_usage_may_sign_a_handshake() -> None:
    accepted(svid(key_usage=None, constraints=None))


@pytest.mark.parametrize(
    "extension",
    [x509.ExtendedKeyUsage(SERVER), usage("digital_signature")],
    ids=["for servers", "not for certificates"],
)
def test_an_intermediate_that_may_not_sign_clients_vouches_for_none(extension: x509.ExtensionType) -> None:
    assert failed(svid(maker=ROOT.below(now=NOW, extension=extension))) == "authority"


def test_an_intermediate_for_clients_may() -> None:
    sign, clients = usage("key_cert_sign"), x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    accepted(svid(maker=ROOT.below(now=NOW, sign=sign, clients=clients)))


def test_a_leaf_signs_no_other() -> None:
    for leaf in (svid(), svid(key_usage=None), svid(key_usage=None, constraints=None)):
        assert failed(svid(maker=Maker(leaf.certificate, leaf.key, is_root=False))) == "authority"


def test_a_critical_extension_that_is_not_understood_is_refused() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert failed(svid(more=(strange,))) == "authority"


@pytest.mark.parametrize(
    "ids",
    [
        (ID, ID + "-2"),
        ("spiffe://prod.example",),
        ("spiffe://prod.example/",),
        ("spiffe://prod.example/a//b",),
        ("spiffe://prod.example/a/../b",),
        ("spiffe://prod.example/a/.",),
        ("spiffe://Prod.example/a",),
        ("spiffe://prod.example:443/a",),
        ("spiffe://user@prod.example/a",),
        ("SPIFFE://prod.example/a",),
        ("https://prod.example/a",),
        ("spiffe://prod.example/a?b",),
        ("spiffe://prod.example/a%2fb",),
        ("spiffe://prod.example/" + "a" * 2048,),
    ],
)
def test_what_is_not_exactly_one_spiffe_id_names_nobody(ids: tuple[str, ...]) -> None:
    assert failed(svid(*ids)) == "names"


def test_an_id_of_another_trust_domain_is_refused() -> None:
    assert failed(svid("spiffe://prod.example.evil/agents/order-bot")) == "domain"


@pytest.mark.parametrize(
    "names", [(), ("a.example", "b.example"), ("*.example",), ("A.example",), ("a.example.",), ("a..example",), ("",)]
)
def test_what_is_not_exactly_one_host_names_nobody(names: tuple[str, ...]) -> None:
    assert failed(OTHER.issue(name_of("a.example"), hosts(*names), now=NOW)) == "names"


@pytest.mark.parametrize("common", [(), ("a", "b"), (" a",), ("a|b",), ("a\x00b",), ("a\nb",)])
def test_what_is_not_exactly_one_common_name_names_nobody(common: tuple[str, ...]) -> None:
    assert failed(OTHER.issue(name_of(*common), hosts("a.example"), now=NOW), PEOPLE) == "names"


def test_a_certificate_that_lives_longer_than_the_bound_is_refused() -> None:
    assert failed(svid(days=1.0001)) == "lifetime"
