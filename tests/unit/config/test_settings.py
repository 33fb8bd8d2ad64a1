# SPDX-License-Identifier: Apache-2.0
"""The settings classes themselves."""

from __future__ import annotations

import dataclasses

import pytest

from gatebook.config import control, identities, ledger, settings

CLASSES = [
    settings.GateSettings,
    settings.EvidenceSettings,
    ledger.LedgerSettings,
    ledger.WitnessSettings,
    ledger.TimestampSettings,
    identities.IssuerSettings,
    identities.CertificateAuthoritySettings,
    control.ControlSettings,
    control.SignInSettings,
    settings.PolicySettings,
    settings.LimitSettings,
    settings.AccountSettings,
    settings.RoleSettings,
    settings.TargetSettings,
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_setting_says_what_it_means(kind: type) -> None:
    for item in dataclasses.fields(kind):
        assert item.metadata["words"].endswith("."), item.name


def test_settings_cannot_be_changed_after_the_start() -> None:
    limits = settings.LimitSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.names = 7  # type: ignore[misc]  # what the test is about
