# SPDX-License-Identifier: Apache-2.0
# `setting` is `dataclasses.field`
"""Settings of approval: how long people may take, how long a client may wait, how much may be asked of them."""

from __future__ import annotations

from dataclasses import dataclass

from gatebook.config import values
from gatebook.config.declaring import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSettings:
    """Consent of people to operations that a policy holds. What asks for it: [policies](policy.md#approval)."""

    decide_s: int = setting(
        values.integer(10, 86_400), "Seconds that people have to decide, where no policy says less.", default=300
    )
    use_s: int = setting(
        values.integer(10, 86_400), "Seconds that an approved operation may be used within.", default=300
    )
    wait_s: int = setting(
        values.integer(1, 86_400),
        "Seconds that a client's statement waits on the wire at most. Then it is refused, and may be sent again while "
        "its request is open.",
        default=300,
    )
    transaction_wait_s: int = setting(
        values.integer(1, 86_400),
        "The same inside a transaction block, whose locks the wait keeps. The transaction has failed then.",
        default=60,
    )
    pending: int = setting(values.integer(1, 100_000), "Requests of one identity that may be open at once.", default=10)
    per_hour: int = setting(values.integer(1, 1_000_000), "Requests that one identity may make in an hour.", default=60)
    preview: bool = setting(
        values.boolean,
        "Ask the target for the plan of a statement before people are asked: EXPLAIN, read only, with the operation's "
        "own account, for a second at most.",
        default=True,
    )
    provider_groups: tuple[str, ...] = setting(
        values.texts,
        "Groups of approvers whose members an identity provider knows: they are let pass at start though nobody is in "
        "them yet.",
        default=(),
    )
