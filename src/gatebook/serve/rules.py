# SPDX-License-Identifier: Apache-2.0
"""From the configuration to what is in force: policies, targets with their secrets, the certificate; all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from gatebook import policy
from gatebook.config import CertificateAuthoritySettings, Secrets, Settings, resolve_target
from gatebook.identity.api_key import KeyBook
from gatebook.identity.authority import Authority, NameKind, RootsFault, parse_roots
from gatebook.identity.issuer import TokenBook
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import PrincipalKind
from gatebook.model.target import Target
from gatebook.policy.engine import Engine
from gatebook.session.gate import Rules
from gatebook.session.quorum import asks_people, check_quorum, check_roles
from gatebook.store.sqlite import open_store


@dataclass(frozen=True, slots=True)
class Regime:
    """What a gate runs by.

    `certificate` and `certificate_key` are PEM, empty where the listener speaks no TLS; `client_roots` are those of all
    authorities, PEM, empty where clients are asked for no certificate.
    """

    settings: Settings
    rules: Rules
    policy_files: tuple[str, ...]
    certificate: bytes
    certificate_key: bytes
    client_roots: bytes

    @property
    def client_required(self) -> bool:
        """Whether no client is served without a certificate."""
        return self.settings.gate.client_certificates == "required"


def read_regime(
    settings: Settings, book: KeyBook, tokens: TokenBook, adapt: Callable[[Target], Target] | None = None
) -> Regime:
    """Read everything that settings refer to, now. `adapt` turns the one target into one for any database.

    OperatorFault for whatever is wrong, with its file and, where it has lines, the line; also where a policy asks for
    the consent of a group in which too few people could vote.
    """
    secrets = Secrets.beside(settings.path.parent)
    targets = {target.name: resolve_target(target, secrets) for target in settings.targets}
    any_target = adapt(next(iter(targets.values()))) if adapt else None
    texts = _read_policies(settings)
    authorities, client_roots = _read_authorities(settings)
    engine = policy.load(texts)
    _check_approvers(settings, engine, targets.values())
    rules = Rules(
        engine=engine,
        book=book,
        targets={} if any_target else dict(targets),
        any_target=any_target,
        verdict_ttl_s=settings.policy.verdict_ttl_s,
        tokens=tokens,
        authorities=authorities,
    )
    gate = settings.gate
    certificate = _read_file("certificate", gate.tls_certificate) if gate.tls_certificate is not None else b""
    key = secrets.read(gate.tls_key).reveal() if gate.tls_key else b""
    return Regime(settings, rules, tuple(sorted(texts)), certificate, key, client_roots)


def load_policies(settings: Settings) -> Engine:
    """Load every policy file of the configuration. OperatorFault if there is none, or for what is wrong in them."""
    return policy.load(_read_policies(settings))


def _read_policies(settings: Settings) -> dict[str, str]:
    folder = settings.policy.folder
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.cedar")):
        try:
            texts[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise _unreadable("policy", path.name, fault) from fault
    if not texts:
        raise OperatorFault(
            f"no policy in {quoted(str(folder))}", "without a permit nothing is permitted; add a `.cedar` file"
        )
    return texts


def _check_approvers(settings: Settings, engine: Engine, targets: Collection[Target]) -> None:
    """Refuse what asks people who are not there. The store is opened anew: a reload is on another thread."""
    if not asks_people(engine.policies) and not any(role.is_on_request for one in targets for role in one.roles):
        return
    store = open_store(settings.store_path)
    try:
        check_quorum(engine.policies, store, settings.approval.provider_groups)
        check_roles(targets, store, settings.approval.provider_groups)
    finally:
        store.close()


def _read_authorities(settings: Settings) -> tuple[tuple[Authority, ...], bytes]:
    """The authorities, and all their roots as PEM. OperatorFault for a file of roots that is not one."""
    authorities: list[Authority] = []
    pem = b""
    owners: dict[bytes, str] = {}
    for one in settings.authorities:
        content = _read_file("roots", one.roots)
        try:
            roots = parse_roots(content)
        except RootsFault as fault:
            raise OperatorFault(f"roots {quoted(str(one.roots))}: the file {fault}", "see the file") from fault
        for root in roots:
            if (owner := owners.setdefault(root, one.name)) != one.name:
                raise OperatorFault(
                    f"certificate authorities {quoted(owner)} and {quoted(one.name)} have a root in common",
                    "one of them could speak for the other; give each a root of its own",
                )
        authorities.append(_make_authority(one, roots))
        pem += content + b"\n"
    return tuple(authorities), pem


def _make_authority(settings: CertificateAuthoritySettings, roots: tuple[bytes, ...]) -> Authority:
    return Authority(
        name=settings.name,
        kind=PrincipalKind(settings.kind),
        names=NameKind(settings.subject),
        roots=roots,
        lifetime_s=settings.lifetime_s,
        trust_domain=settings.trust_domain,
        groups=settings.groups,
    )


def _read_file(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise _unreadable(what, str(path), fault) from fault


def _unreadable(what: str, name: str, fault: Exception) -> OperatorFault:
    words = getattr(fault, "strerror", None) or str(fault)
    return OperatorFault(
        f"{what} {quoted(name)} cannot be read: {' '.join(str(words).split()).lower()}", "see the file"
    )
