#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the generated pages anew: what tests compare with the code.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
write() {
    local page="$1"
    shift
    "$@" >"$page.new"
    mv "$page.new" "$page"
    printf 'wrote %s\n' "$page"
}

write docs/reference/config.md .venv/bin/python -m gatebook.config.reference
write docs/reference/cli.md .venv/bin/python -m gatebook.cli.reference
write docs/reference/openapi.json .venv/bin/python -m gatebook.control.reference
write docs/reference/api.md .venv/bin/python -m gatebook.control.reference page
.venv/bin/python tools/threat_table.py
