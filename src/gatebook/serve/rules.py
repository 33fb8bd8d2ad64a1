# SPDX-License-Identifier: Apache-2.0
"""From the configuration to what is in force: policies, targets with their secrets, the certificate; all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatebook import policy
from gatebook.config import Secrets, Settings, resolve_target
from gatebook.identity.api_key import KeyBook
from gatebook.identity.issuer import TokenBook
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.target import Target
from gatebook.policy.engine import Engine
from gatebook.session.gate import Rules


@dataclass(frozen=True, slots=True)
class Regime:
    """What a gate runs by. `certificate` and `certificate_key` are PEM, empty where the listener speaks no TLS."""

    settings: Settings
    rules: Rules
    policy_files: tuple[str, ...]
    certificate: bytes
    certificate_key: bytes


def read_regime(
    settings: Settings, book: KeyBook, tokens: TokenBook, adapt: Callable[[Target], Target] | None = None
) -> Regime:
    """Read everything that settings refer to, now. `adapt` turns the one target into one for any database.

    OperatorFault for whatever is wrong, with its file and, where it has lines, the line.
    """
    secrets = Secrets.beside(settings.path.parent)
    targets = {target.name: resolve_target(target, secrets) for target in settings.targets}
    any_target = adapt(next(iter(targets.values()))) if adapt else None
    texts = _read_policies(settings)
    rules = Rules(
        engine=policy.load(texts),
        book=book,
        targets={} if any_target else dict(targets),
        any_target=any_target,
        verdict_ttl_s=settings.policy.verdict_ttl_s,
        tokens=tokens,
    )
    gate = settings.gate
    certificate = b""
    if gate.tls_certificate is not None:
        try:
            certificate = gate.tls_certificate.read_bytes()
        except OSError as fault:
            raise _unreadable("certificate", str(gate.tls_certificate), fault) from fault
    key = secrets.read(gate.tls_key).reveal() if gate.tls_key else b""
    return Regime(settings, rules, tuple(sorted(texts)), certificate, key)


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


def _unreadable(what: str, name: str, fault: Exception) -> OperatorFault:
    words = getattr(fault, "strerror", None) or str(fault)
    return OperatorFault(
        f"{what} {quoted(name)} cannot be read: {' '.join(str(words).split()).lower()}", "see the file"
    )
