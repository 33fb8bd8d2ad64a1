# SPDX-License-Identifier: Apache-2.0
"""The family of errors that say: this evidence is not what it should be."""

from __future__ import annotations

from gatebook.model.errors import OperatorFault


class EvidenceFault(OperatorFault):
    """Evidence does not have its form, does not authenticate, or is not there.

    `finding` is the stable name under which a verification reports it (docs/reference/findings.md).
    """

    code = "evidence"

    def __init__(self, finding: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.finding = finding
