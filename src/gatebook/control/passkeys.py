# SPDX-License-Identifier: Apache-2.0
"""Passkeys at the console: made once by who has leave to, and shown to sign in; the person is always verified.

A passkey is entered into the book before it is anybody's. Which of them are whose is in the store of the gate; their
counters are the console's own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from webauthn import generate_authentication_options, generate_registration_options, verify_registration_response
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gatebook.config import ControlSettings
from gatebook.control.assertion import (
    ALGORITHMS,
    Assertion,
    AssertionRefused,
    Credential,
    passkey_of,
    read_assertion,
    verify_assertion,
)
from gatebook.control.problems import Problem
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.vote_signature import WEBAUTHN, Passkey, parse_passkey
from gatebook.identity import passkey
from gatebook.identity.passkey import KnownPasskey
from gatebook.model.credential import Person, SigningKey
from gatebook.model.errors import GatebookError
from gatebook.model.principal import Identified, NotIdentified, Subject
from gatebook.store.base import Store
from gatebook.store.console import Challenge, ConsoleStore, hashed
from gatebook.vault.journal import JournalWriter

LIFE: Final = timedelta(minutes=5)
NAME_BYTES: Final = 32
SIGN_IN: Final = "sign-in"
ENROL: Final = "enrol"
_BUSY: Final = "too many have begun and not finished"

Options = dict[str, Any]  # what the browser's interface takes, as JSON


class Passkeys:
    """Makes and checks passkeys for the host of the console. Used from the event loop's thread."""

    def __init__(
        self,
        control: ControlSettings,
        store: Store,
        console: ConsoleStore,
        journal: JournalWriter,
        now: Callable[[], datetime],
    ) -> None:
        self._control = control
        self._store = store
        self._console = console
        self._journal = journal
        self._now = now

    # ── making one ──

    def begin_enrolment(self, code: str) -> tuple[str, Options]:
        """Return the name of a challenge and the browser's options. Problem 404 if the code gives no leave."""
        leave = self._console.find_enrolment(code, self._now())
        if leave is None:
            raise _no_leave()
        name, challenge = self._begin(ENROL, hashed(code))
        options = generate_registration_options(
            rp_id=self._control.rp_id,
            rp_name="Gatebook",
            user_id=hashlib.sha256(str(leave.person).encode()).digest(),
            user_name=leave.person.subject,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=key.credential) for key, owner in self._keys() if owner == leave.person
            ],
            supported_pub_key_algs=list(ALGORITHMS),
        )
        return name, options_to_json_dict(options)

    def finish_enrolment(self, code: str, name: str, credential: Credential) -> SigningKey:
        """Enter the passkey that was made, and give it to its person. Problem; JournalUnwritable, StoreFault."""
        moment = self._now()
        challenge = self._console.take_challenge(name, ENROL, hashed(code), moment)
        leave = self._console.find_enrolment(code, moment)
        if challenge is None or leave is None:
            raise _no_leave()
        key = self._read_new(challenge, credential)
        person = self._store.find_person(leave.person)
        if person is None or person.disabled_at is not None or self._console.take_enrolment(code, moment) is None:
            raise _no_leave()
        made = SigningKey(key.fingerprint, WEBAUTHN, key.text, leave.person, moment)
        if any(one.fingerprint == made.fingerprint for one in self._store.list_signing_keys()):
            raise _not_good()
        stamp = Stamp(WRITER, moment)
        self._journal.append(builders.person_key(stamp, person=leave.person, key=key, removed=False, by=leave.asked_by))
        self._store.add_signing_key(made)
        return made

    def _read_new(self, challenge: bytes, credential: Credential) -> Passkey:
        try:
            made = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._control.rp_id,
                expected_origin=self._control.origin,
                require_user_verification=True,
                supported_pub_key_algs=list(ALGORITHMS),
            )
            key = passkey_of(self._control.rp_id, made.credential_id, made.credential_public_key)
        except (WebAuthnException, GatebookError, ValueError, TypeError, KeyError, IndexError, AttributeError) as fault:
            raise _not_good() from fault  # the last ones are what the library lets through from damaged CBOR
        self._console.count(key.credential, made.sign_count)
        return key

    # ── showing one ──

    def begin_sign_in(self) -> tuple[str, Options]:
        """Return the name of a challenge and the browser's options: any passkey of this site may answer."""
        name, challenge = self._begin(SIGN_IN, b"")
        options = generate_authentication_options(
            rp_id=self._control.rp_id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
        return name, options_to_json_dict(options)

    def finish_sign_in(self, name: str, credential: Credential) -> Identified | NotIdentified:
        """Return whose passkey answered. The checks before those of `identity.passkey`: `challenge`, `form`."""
        challenge = self._console.take_challenge(name, SIGN_IN, b"", self._now())
        if challenge is None:
            return passkey.not_shown("challenge")
        try:
            credential_id, assertion = read_assertion(credential)
        except AssertionRefused:
            return passkey.not_shown("form")
        return passkey.verify(_Shown(self, self._store, credential_id, challenge, assertion))

    def find(self, credential_id: bytes) -> tuple[Passkey, Subject] | None:
        """Return a passkey that is somebody's now, and whose."""
        return next((found for found in self._keys() if found[0].credential == credential_id), None)

    def keys_of(self, person: Subject) -> list[Passkey]:
        """Return the passkeys of a person."""
        return [key for key, owner in self._keys() if owner == person]

    def verify(self, key: Passkey, challenge: bytes, assertion: Assertion) -> None:
        """Check a signature made at this console, and keep the counter. AssertionRefused."""
        counted = self._console.counted(key.credential)
        reached = verify_assertion(key, challenge, assertion, self._control.origin, counted)
        if reached > counted:
            self._console.count(key.credential, reached)

    def _keys(self) -> list[tuple[Passkey, Subject]]:
        return [
            (parse_passkey(key.text), key.person)
            for key in self._store.list_signing_keys()
            if key.kind == WEBAUTHN and key.removed_at is None
        ]

    def _begin(self, purpose: str, holder: bytes) -> tuple[str, bytes]:
        name, challenge = secrets.token_urlsafe(NAME_BYTES), secrets.token_bytes(NAME_BYTES)
        moment = self._now()
        if not self._console.begin_challenge(name, Challenge(purpose, holder, challenge, moment + LIFE), moment):
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "busy", _BUSY, Retry_After="60")
        return name, challenge


WRITER: Final = "control"


def read_json(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a request's body. Problem 422 if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body", "the body is no JSON") from fault
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body", "the body is no JSON object")
    return value


def _no_leave() -> Problem:
    hint = "ask for another with `gatebook person passkey`"
    return Problem(HTTPStatus.NOT_FOUND, "enrolment", "the link is used up, too old, or none", hint)


def _not_good() -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "passkey", "the passkey is not accepted", "try again with another")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A passkey that was shown, as `identity.passkey` asks about it."""

    passkeys: Passkeys
    directory: Store
    credential_id: bytes
    challenge: bytes
    assertion: Assertion

    def find_passkey(self) -> KnownPasskey | None:
        """See `PasskeyBook`."""
        found = self.passkeys.find(self.credential_id)
        return KnownPasskey(found[0].fingerprint, found[1]) if found is not None else None

    def is_signed(self) -> bool:
        """See `PasskeyBook`."""
        found = self.passkeys.find(self.credential_id)
        if found is None:
            return False
        try:
            self.passkeys.verify(found[0], self.challenge, self.assertion)
        except AssertionRefused:
            return False
        return True

    def find_person(self, subject: Subject) -> Person | None:
        """See `PasskeyBook`."""
        return self.directory.find_person(subject)
