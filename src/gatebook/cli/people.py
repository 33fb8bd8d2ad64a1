# SPDX-License-Identifier: Apache-2.0
"""Whom a name at the command line means."""

from __future__ import annotations

from gatebook.config import Settings
from gatebook.identity.api_key import local_issuer
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import Subject


def subject_of(settings: Settings, name: str) -> Subject:
    """Return whom a name means: `ISSUER|SUBJECT`, or somebody of this gate."""
    issuer, bar, subject = name.partition("|")
    return Subject(issuer, subject) if bar else Subject(local_issuer(settings.gate.name), name)


def known_subject(settings: Settings, name: str) -> Subject:
    """As `subject_of`. OperatorFault for an issuer that is not configured: nobody could come from there."""
    subject = subject_of(settings, name)
    issuers = {one.url for one in settings.issuers} | {one.url for one in settings.control.issuers}
    if "|" in name and subject.issuer not in issuers:
        raise OperatorFault(
            f"no issuer {quoted(subject.issuer)} is configured", "see `[[issuer]]` and `[[control.issuer]]`"
        )
    return subject
