# SPDX-License-Identifier: Apache-2.0
"""Check that everything Gatebook is built from may be shipped with it, and that nothing on the deny list came in.

Reads what is installed and locked; asks nobody. Exit status 1 names what is not on the list.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = frozenset(
    """
    0BSD Apache-2.0 Apache-2.0-WITH-LLVM-exception BSD-2-Clause BSD-3-Clause BSL-1.0 CC0-1.0 CDLA-Permissive-2.0 ISC
    MIT MIT-0 MPL-2.0 PSF-2.0 Python-2.0 Unicode-3.0 Unlicense Zlib
    """.split()  # noqa: SIM905  a column of quotes would hide the names
)
# What must not come in, with the reason; crates and packages alike.
DENIED = {
    "openssl": "one TLS library in the process: rustls",
    "openssl-sys": "one TLS library in the process: rustls",
    "native-tls": "one TLS library in the process: rustls",
    "aws-lc-sys": "the cryptography provider is ring",
}
# Packages whose metadata names no licence, with the one that their repository and their licence file give.
_SILENT = {"cedarpy": "Apache-2.0"}
# Licence texts in the words of older metadata.
_OLD_WORDS = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
}


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met: one side of each OR, both of each AND. No operators, no licence."""
    flat = expression.replace("/", " OR ").replace("(", " ").replace(")", " ").replace(" WITH ", "-WITH-")
    terms = [re.split(r"\s+OR\s+", term) for term in re.split(r"\s+AND\s+", flat)]
    return all(any(choice.strip() in ALLOWED for choice in choices) for choices in terms)


def crates() -> dict[str, str]:
    """Return name and licence of every locked crate."""
    command = ["tools/cargo.sh", "metadata", "--format-version", "1", "--locked"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {package["name"]: package["license"] or "" for package in json.loads(output)["packages"]}


def packages() -> dict[str, str]:
    """Return name and licence of every installed package that Gatebook needs at run time, and theirs."""
    found: dict[str, str] = {}
    waiting = ["gatebook"]
    while waiting:
        name = waiting.pop()
        try:
            data = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform or Python
        if data.metadata["Name"].lower() in found:
            continue
        licence = _licence(data)
        found[data.metadata["Name"].lower()] = _SILENT.get(name, licence) if licence == "unknown" else licence
        for line in data.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def _licence(data: metadata.Distribution) -> str:
    expression = data.metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = data.metadata.get_all("Classifier") or []
    words = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: OSI Approved")]
    words = [word for word in words if word != "OSI Approved"] or [data.metadata.get("License") or "unknown"]
    return " AND ".join(_OLD_WORDS.get(word.lower(), word) for word in words)


def main() -> int:
    """Print what is wrong; return the exit status."""
    wrong: list[str] = []
    counted = 0
    for kind, found in (("crate", crates()), ("package", packages())):
        counted += len(found)
        for name, licence in sorted(found.items()):
            if name in DENIED:
                wrong.append(f"{kind} {name} is on the deny list: {DENIED[name]}")
            elif not is_allowed(licence):
                wrong.append(f"{kind} {name} has the licence `{licence}`, which tools/licences.py does not list")
    print("\n".join(wrong) or f"licences: {counted} crates and packages, all on the list")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
