# SPDX-License-Identifier: Apache-2.0
"""Native objects that own sockets, threads and files, and the values that cross the seam to them."""

from gatebook._native import (
    Admission,
    Cancel,
    Carrier,
    CatalogueChanged,
    Ended,
    Fault,
    Forgotten,
    Hello,
    Journal,
    NativeError,
    NotSecured,
    OperationFacts,
    Question,
    Refusal,
    Verdict,
)

__all__ = [
    "Admission",
    "Cancel",
    "Carrier",
    "CatalogueChanged",
    "Ended",
    "Fault",
    "Forgotten",
    "Hello",
    "Journal",
    "NativeError",
    "NotSecured",
    "OperationFacts",
    "Question",
    "Refusal",
    "Verdict",
]
