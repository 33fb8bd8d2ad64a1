# SPDX-License-Identifier: Apache-2.0
"""Settings: which ones only change how the session is served, and which change what it may do or how it is read.

Source: PostgreSQL 18 chapter 19. Names of settings fold case.
"""

from __future__ import annotations

from typing import Final

from gatebook.protocols.postgres.reading import Reading

# They change speed, form of output, patience or names of the session itself: action `adjust`.
HARMLESS: Final = frozenset(
    """
    application_name bytea_output client_min_messages constraint_exclusion cursor_tuple_fraction datestyle
    deadlock_timeout default_statistics_target default_transaction_deferrable default_transaction_isolation
    default_transaction_read_only effective_cache_size effective_io_concurrency enable_async_append
    enable_bitmapscan enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin
    enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin
    enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
    enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort enable_tidscan
    extra_float_digits force_parallel_mode from_collapse_limit geqo geqo_effort geqo_threshold
    gin_fuzzy_search_limit hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle
    jit join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout maintenance_work_mem
    max_parallel_workers_per_gather parallel_leader_participation parallel_setup_cost parallel_tuple_cost
    plan_cache_mode quote_all_identifiers random_page_cost restrict_nonsystem_relation_kind row_security
    search_path seq_page_cost statement_timeout
    synchronize_seqscans synchronous_commit temp_buffers timezone transaction_deferrable transaction_isolation
    transaction_read_only transaction_timeout work_mem xmlbinary xmloption
    """.split()  # noqa: SIM905  thirty lines of quotes would hide the names
)
# Harmless only with the values under which the gate reads what the server reads.
_PINNED: Final = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    "backslash_quote": frozenset({"safe_encoding", "off"}),
}
# The session reads names otherwise after a change of one of these.
_NAMING: Final = frozenset(
    {"search_path", "role", "session_authorization", "client_encoding", "standard_conforming_strings"}
)
_PERSONAL: Final = {"role": "set_role", "session_authorization": "set_session_authorization"}


def set_setting(reading: Reading, name: str, value: str | None, *, to_default: bool = False) -> None:
    """Note the access of giving a setting a value; `value` is None where it is not a single constant."""
    folded = name.lower()
    if folded in _PERSONAL:
        who = "default" if to_default else value
        if who is None:
            reading.not_understood(f"{folded} is set to something that is not a constant")
        reading.access(_PERSONAL[folded], reading.names.role(who or "default"))
    else:
        pinned = _PINNED.get(folded)
        fits = folded in HARMLESS if pinned is None else to_default or (value or "").lower() in pinned
        reading.access("adjust" if fits else "set", reading.names.setting(folded))
    if folded in _NAMING:
        reading.stale()
