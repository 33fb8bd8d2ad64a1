#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cargo with what the bindings of PostgreSQL's parser need: libclang (from .venv) and the C compiler's own headers.
# The values are the same in every call, so that nothing is built twice.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
for native in "$root"/.venv/lib/python3*/site-packages/clang/native; do
    [ -d "$native" ] && export LIBCLANG_PATH="${LIBCLANG_PATH:-$native}"
done
if [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ]; then
    BINDGEN_EXTRA_CLANG_ARGS="-I$("${CC:-cc}" -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
fi
if [ "${1:-}" = "--run" ]; then
    shift
    exec "$@"
fi
exec cargo "$@"
