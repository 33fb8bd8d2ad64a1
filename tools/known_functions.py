# SPDX-License-Identifier: Apache-2.0
"""Make the lists of PostgreSQL functions whose effect the gate knows, from the catalogues of real servers.

Run: python tools/known_functions.py CONNINFO [CONNINFO ...]   (servers of all versions to be served)

Writes beside src/gatebook/protocols/postgres/functions.py:
  known_safe_functions.txt  no effect, no file, no foreign session, no secret, no SQL run: needs no permit
  quiet_functions.txt       has an effect or shows something, but cannot change how names resolve: needs a permit
A name is on a list only if every function of that name in pg_catalog, in every server given, belongs there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psycopg

FOLDER = Path(__file__).resolve().parent.parent / "src/gatebook/protocols/postgres"

# Volatile only because the answer changes; they do nothing and show nothing but sizes and chance.
HARMLESS = {
    "clock_timestamp", "timeofday", "random", "random_normal", "setseed", "gen_random_uuid", "uuidv4", "uuidv7",
    "pg_is_in_recovery", "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size",
    "pg_database_size", "array_sample", "array_shuffle", "current_query",
}  # fmt: skip
# Immutable or stable for the planner, and yet no function for everybody.
DANGEROUS = re.compile(
    r"(query|table|schema|database|cursor)_to_xml.*"  # run SQL given as text, or read whatever is named
    r"|ts_stat|ts_rewrite"  # run SQL given as text
    # other sessions
    r"|pg_stat_.*|pg_lock_status|pg_prepared_xact|pg_blocking_pids|pg_safe_snapshot_.*|pg_get_backend_.*"
    r"|pg_get_shmem_.*|pg_get_replication_.*|pg_show_all_settings|pg_show_all_file_settings|pg_show_replication_.*"
    # the server's own
    r"|pg_hba_.*|pg_ident_.*|pg_config|pg_control_.*|pg_get_wal_.*|pg_read_.*|pg_ls_.*|pg_current_logfile"
    r"|pg_get_aios|pg_get_process_.*|pg_log_.*|pg_restore_.*|pg_clear_.*|pg_logicalinspect.*"
    r"|lo_.*|loread|lowrite|binary_upgrade_.*|pg_event_trigger_.*|pg_logical_.*|pg_replication_.*"
)
# They act or tell, but leave search path, temporary objects and catalogue as they are.
QUIET = re.compile(
    r"nextval|setval|currval|lastval|pg_sleep.*|pg_notify|pg_(try_)?advisory_.*|lo_.*|loread|lowrite|txid_.*"
    r"|pg_current_xact_.*|pg_cancel_backend|pg_terminate_backend|pg_read_.*|pg_ls_.*|pg_stat_.*|pg_lock_status"
    r"|pg_current_wal_.*|pg_last_wal_.*|pg_show_all_settings|pg_prepared_xact|pg_current_logfile|pg_blocking_pids"
)
UNCALLABLE = re.compile(r"internal|trigger|event_trigger|.*_handler")

QUERY = """
SELECT p.proname, p.provolatile::text, l.lanname,
       pg_catalog.format_type(p.prorettype, NULL), pg_catalog.oidvectortypes(p.proargtypes)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid < 16384
"""


def main() -> None:
    """Read every server, write both lists."""
    safe: dict[str, bool] = {}
    for conninfo in sys.argv[1:]:
        with psycopg.connect(conninfo) as connection:
            for name, volatility, language, result, arguments in connection.execute(QUERY).fetchall():
                callable_ = not UNCALLABLE.fullmatch(result) and "internal" not in arguments.split(", ")
                fits = (
                    (volatility in {"i", "s"} or name in HARMLESS)
                    and not DANGEROUS.fullmatch(name)
                    and language in {"internal", "c", "sql"}
                )
                if callable_:
                    safe[name] = safe.get(name, True) and fits
    _write("known_safe_functions.txt", {name for name, fits in safe.items() if fits})
    _write("quiet_functions.txt", {name for name, fits in safe.items() if not fits and QUIET.fullmatch(name)})


def _write(file: str, names: set[str]) -> None:
    (FOLDER / file).write_text("".join(f"{name}\n" for name in sorted(names)))
    sys.stdout.write(f"{file}: {len(names)} names\n")


if __name__ == "__main__":
    main()
