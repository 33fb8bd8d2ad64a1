# SPDX-License-Identifier: Apache-2.0
"""The README.txt of a bundle: what it is, what it proves and does not prove, how to verify it, and with which key."""

from __future__ import annotations

from gatebook.evidence.bundle import DISCLOSED, Manifest
from gatebook.evidence.harmless import harmless
from gatebook.evidence.note import Verifier

MAX_LISTED = 200  # sessions or hashes named in the text; the manifest has all
MAX_PURPOSE = 1024

_TEXT = """EVIDENCE FROM A GATEBOOK GATE

What this is
------------
A part of the book of a Gatebook gate, made {made} by {by}.
Purpose: {purpose}
Ledger: {origin}. Its first {size} entries were looked at.
Asked for: {asked}.
Here: {entries} entries of {sessions} sessions with {operations} operations;
{recordings} recordings, {private} private parts.
Not sealed yet then, and so not looked at: {not_sealed}.

How to verify it
----------------
1. Get the notary's verifier key from where you keep it, not from this bundle. The one in here is
     {key}
2. On any machine with Gatebook, without network:
     gatebook verify BUNDLE --key 'KEY'
   Exit status 0: it holds. 1: it does not, and each flaw is named.
The format is open (docs/spec/bundle.md): a ZIP archive with a signed checkpoint and a Merkle proof by RFC 6962. The
file manifest.tlog-proof is a C2SP tlog-proof, which other tools verify.

What it proves, if you have the key
-----------------------------------
- Every entry in `entries` stands in the signed ledger, byte for byte. This text, index.html and the manifest are what
  the gate made them: their hash is sealed there too, by the entry `evidence.exported`.
- No entry of a session that is here is missing between its first and its last; each recording holds the chunks that
  were entered, in order, and no other.
- Where an operation ran by an approval: that the people named consented to this operation and no other, each before it
  ran and in time, with a signature by a key that was theirs as the book has it. Whether a key is a person's, ask them:
  its fingerprint is in index.html.
- With an older checkpoint that you kept, `gatebook ledger verify --since` on a copy of the whole ledger proves that
  nothing was changed since.

What it does not prove
----------------------
- That nothing else happened: the gate chose what is here. Compare with the whole ledger.
- That what never entered the book did not happen, or that the machine's clock was right.
- Anything against somebody who had the notary's key and the journals from the start; a kept checkpoint bounds that.

Contents
--------
{contents}
{policies}"""
_SEALED = """Statements, parameters, error texts and recordings are here in encrypted form and without a key: their
bytes are verified, their words cannot be read. The gate can hand out keys later, or destroy them: then nobody can
read them here either."""
_DISCLOSED = """THE RECORDING KEYS ARE IN THIS BUNDLE (keys.json), because that was asked for. Whoever has it can read
every statement, parameter, result and error of the sessions in it, for ever; erasing them at the gate does not change
that. Keep this file as you would keep the data itself."""


def render_readme(manifest: Manifest, verifier: Verifier) -> bytes:
    """Return the text. What people wrote in it is on one line and without control characters."""
    asked = ", ".join(
        f"{name} {' '.join(map(str, value[:MAX_LISTED])) if isinstance(value, list) else value}"
        for name, value in manifest.selection.to_value().items()
    )
    waiting = ", ".join(f"{count} of {writer}" for writer, count in manifest.not_sealed.items())
    contents = _DISCLOSED if manifest.contents == DISCLOSED else _SEALED
    if manifest.undisclosed:
        contents += "\nWithout a key here, as they were erased: " + _few(manifest.undisclosed)
    policies = f"The texts of {len(manifest.policies)} policy sets that decided are in policies/.\n"
    if manifest.policies_missing:
        policies += "Not here, as the gate has other policies by now: " + _few(manifest.policies_missing) + "\n"
    return _TEXT.format(
        made=manifest.made,
        by=harmless(manifest.by),
        purpose=harmless(manifest.purpose)[:MAX_PURPOSE],
        origin=manifest.origin,
        size=manifest.size,
        asked=harmless(asked),
        not_sealed=waiting or "nothing",
        key=verifier.text(),
        contents=contents,
        policies=policies,
        **manifest.counts,
    ).encode()


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return harmless(" ".join(names[:MAX_LISTED])) + more
