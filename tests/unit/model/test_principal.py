# SPDX-License-Identifier: Apache-2.0
"""An identity is issuer and subject; a failed verification names the check that failed."""

from __future__ import annotations

from gatebook.model.principal import Check, NotIdentified, Subject


def test_a_subject_is_shown_as_policies_name_it() -> None:
    assert str(Subject("gatebook:gate-1", "order-bot")) == "gatebook:gate-1|order-bot"


def test_the_last_check_of_a_failed_verification_is_the_one_that_failed() -> None:
    answer = NotIdentified((Check("form", passed=True), Check("checksum", passed=False)))
    assert answer.failed == "checksum"
    assert answer.credential == ""
