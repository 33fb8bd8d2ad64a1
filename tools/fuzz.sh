#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes each parser for so many seconds, on the stable toolchain: tools/fuzz.sh [SECONDS] [TARGET ...]
#
# A crash ends the run with its input under rust/fuzz/artifacts/. What was found stays in rust/fuzz/corpus/ of this
# machine; what is worth keeping for all is put into rust/fuzz/seeds/ by hand, small and named by flaw.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../rust/fuzz"
seconds="${1:-60}"
shift || true

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

if ! command -v c++ >/dev/null; then
    # libFuzzer is C++; nothing else here is.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing a C++ compiler for libFuzzer: apt-get install g++"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq g++ >/dev/null
    else
        printf 'error: no C++ compiler (`c++`) is there, and libFuzzer is C++\nhint: Debian: apt-get install g++\n' >&2
        exit 1
    fi
fi

# Coverage counters and comparison tracing for the Rust code, by LLVM's own pass; the release profile keeps overflow
# checks, and debug assertions are on, so that what is only assumed elsewhere is checked here.
host="$(rustc -vV | sed -n 's/^host: //p')"
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
flags+=" -Ccodegen-units=1 -Cdebug-assertions --cfg fuzzing"

if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)
fi

say "building ${#targets[@]} fuzz targets"
RUSTFLAGS="$flags" ../../tools/cargo.sh build --release --locked --quiet --target "$host" --bins

for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    say "$target: $seconds s"
    log="$(mktemp)"
    if ! "target/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" "seeds/$target" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        printf 'error: fuzz target %s found something\nhint: its input is in rust/fuzz/artifacts/%s/\n' "$target" "$target" >&2
        exit 1
    fi
    say "$target: $(grep -E 'number_of_executed_units|new_units_added' "$log" | tr -s ' \n' ' ')"
    rm -f "$log"
done
say "nothing found"
