# SPDX-License-Identifier: Apache-2.0
"""Run as a program: connect with libpq 18 and a token by SASL OAUTHBEARER, run a statement, print what came of it.

Usage: libpq_with_token.py CONNINFO SQL, the token on standard input. libpq asks its application for a token by a hook;
psycopg does not reach it, so that it is set here by its C interface.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import psycopg
import psycopg_binary

BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN


class Request(ctypes.Structure):
    """PGoauthBearerRequest of libpq-fe.h."""

    _fields_ = (
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("work", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    )


def main() -> None:
    conninfo, sql = sys.argv[1:]
    token = sys.stdin.read().encode()
    asked: list[dict[str, str | None]] = []

    def hook(kind: int, _connection: object, request: ctypes._Pointer[Request]) -> int:
        if kind != BEARER_TOKEN:
            return 0
        wanted = request.contents
        asked.append(
            {
                "openid_configuration": (wanted.openid_configuration or b"").decode(),
                "scope": (wanted.scope or b"").decode(),
            }
        )
        wanted.token = token
        return 1

    (path,) = Path(psycopg_binary.__file__).parents[1].glob("psycopg_binary.libs/libpq-*.so*")
    library = ctypes.CDLL(str(path))  # the one that psycopg has loaded
    called = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Request))(hook)
    library.PQsetAuthDataHook(called)
    told: dict[str, object] = {"rows": None, "error": ""}
    try:
        with psycopg.connect(conninfo) as connection:
            told["rows"] = connection.execute(sql.encode()).fetchall()
    except psycopg.OperationalError as fault:
        told["error"] = str(fault)
    print(json.dumps(told | {"asked": asked}))


if __name__ == "__main__":
    main()
