# SPDX-License-Identifier: Apache-2.0
"""Every finding has a name that is documented."""

from __future__ import annotations

import re
from pathlib import Path

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import OperatorFault

ROOT = Path(__file__).parents[3]
NOT_OF_A_VERIFICATION = {"key_missing"}  # said by a replay without key


def test_is_the_operators_and_bears_the_name_of_its_finding() -> None:
    fault = EvidenceFault("name", "message", "hint")
    assert isinstance(fault, OperatorFault)
    assert (fault.finding, fault.message, fault.hint) == ("name", "message", "hint")


def test_page_lists_every_finding_in_the_code_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/reference/findings.md").read_text(), re.MULTILINE)
    assert listed == sorted(set(listed)), "sorted, and no row twice"
    sources = [*(ROOT / "src/gatebook/evidence").glob("*.py"), *(ROOT / "src/gatebook/vault").glob("*.py")]
    made = re.compile(
        r'(?:Fault|Finding|Tampered|_find|_check_hashes|super\(\).__init__)\(\s*"([a-z_]+)",|_read\([^"\n]*"([a-z_]+)"\)'
    )
    code = {name for path in sources for names in made.findall(path.read_text()) for name in names if name}
    assert code - NOT_OF_A_VERIFICATION == set(listed)
