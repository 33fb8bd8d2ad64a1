# SPDX-License-Identifier: Apache-2.0
# `setting` is `dataclasses.field`
"""Settings of retention: how long what is kept, and who may end that."""

from __future__ import annotations

from dataclasses import dataclass

from gatebook.config import values
from gatebook.config.declaring import NAME, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionClassSettings:
    """How long sessions are kept. The first class that fits a session is its class; without one it is kept for ever.

    What goes and what stays: [retention](../spec/retention.md).
    """

    name: str = setting(values.name(NAME), "Name of the class in lists and entries.")
    target_names: tuple[str, ...] = setting(
        values.texts, "Targets whose sessions are of it; every one if absent.", default=()
    )
    kinds: tuple[str, ...] = setting(
        values.choices("postgres"), "Kinds of target whose sessions are of it; every one if absent.", default=()
    )
    recording_days: int = setting(
        values.integer(0, 36_600), "Days after a session's end when its recording may be purged; 0 is never.", default=0
    )
    contents_days: int = setting(
        values.integer(0, 36_600),
        "The same for all of its contents: recording, statements, parameters, error texts.",
        default=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long evidence is kept, and who may end it. Purging takes two people, always."""

    custodians: tuple[str, ...] = setting(
        values.texts, "Names of the people of this gate who may consent to purge and to release a hold.", default=()
    )
    erase_early: bool = setting(
        values.boolean, "Let two custodians erase a session that is over before its time has come.", default=False
    )
    classes: tuple[RetentionClassSettings, ...] = setting(
        values.tables(RetentionClassSettings), "The classes, in order of preference.", default=()
    )
