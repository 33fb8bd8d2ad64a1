# SPDX-License-Identifier: Apache-2.0
"""The configuration: one TOML file, parsed once into frozen settings; what is not known is refused."""

from gatebook.config.control import ControlSettings, SignInSettings
from gatebook.config.identities import CertificateAuthoritySettings, IssuerSettings
from gatebook.config.ledger import LedgerSettings, TimestampSettings, WitnessSettings
from gatebook.config.reading import load_settings, parse_settings
from gatebook.config.secrets import ConfigFault, SecretRef, Secrets, SecretSource
from gatebook.config.settings import (
    AccountSettings,
    EvidenceSettings,
    GateSettings,
    IndexSettings,
    LimitSettings,
    PolicySettings,
    RoleSettings,
    Settings,
    TargetSettings,
)
from gatebook.config.targets import resolve_target

__all__ = [
    "AccountSettings",
    "CertificateAuthoritySettings",
    "ConfigFault",
    "ControlSettings",
    "EvidenceSettings",
    "GateSettings",
    "IndexSettings",
    "IssuerSettings",
    "LedgerSettings",
    "LimitSettings",
    "PolicySettings",
    "RoleSettings",
    "SecretRef",
    "SecretSource",
    "Secrets",
    "Settings",
    "SignInSettings",
    "TargetSettings",
    "TimestampSettings",
    "WitnessSettings",
    "load_settings",
    "parse_settings",
    "resolve_target",
]
