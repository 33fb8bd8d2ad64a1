# SPDX-License-Identifier: Apache-2.0
"""`gatebook verify`: verify a bundle offline, with nothing but this package and the notary's key."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import json_option
from gatebook.cli.output import print_facts, print_json, print_table, say
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.bundle_check import Verified


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--key", default="", help="The notary's verifier key, from a copy of `ledger.vkey` kept elsewhere.")
@json_option
def command(bundle: Path, *, key: str, as_json: bool) -> None:
    """Verify a bundle, offline.

    Form, hashes, signature, seal of the manifest, inclusion of every entry, sequence and completeness, recordings,
    contents and policies are looked at, without configuration or network. Each step is told; anything that is wrong
    is a finding, and the exit status is 1.

    Without --key the key in the bundle is used: that proves only that it agrees with itself.
    """
    from gatebook.evidence.bundle_check import verify_bundle  # noqa: PLC0415  cryptography, only here
    from gatebook.evidence.note import Verifier  # noqa: PLC0415  as above
    from gatebook.vault.bundles import opened_bundle  # noqa: PLC0415  as above

    verifier = Verifier.parse(key.strip()) if key else None
    try:
        with opened_bundle(bundle) as data:
            verified = verify_bundle(data, verifier)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"{quoted(str(bundle))} cannot be read: {words}", "see the file") from fault
    if as_json:
        print_json(_object(verified))
    else:
        _print(verified)
    if not verified.report.ok:
        sys.exit(1)


def _print(verified: Verified) -> None:
    report, manifest = verified.report, verified.manifest
    if manifest is not None:
        print_facts(
            {
                "made": f"{manifest.made} by {manifest.by}",
                "purpose": manifest.purpose,
                "ledger": manifest.origin,
                "key": f"{verified.key} ({'from the bundle itself' if verified.is_own_key else 'as given'})",
                "not sealed then": ", ".join(f"{n:,} of {name}" for name, n in manifest.not_sealed.items())
                or "nothing",
            }
        )
    rows = [("good" if step.ok else "WRONG", step.name, step.words) for step in verified.steps]
    print_table(("", "step", "what"), rows)
    if report.accounted:
        click.echo("accounted for:")
        print_table(("what", "where", "words"), _rows(report.accounted))
    if verified.is_own_key:
        say("warning: the key came with the bundle: name the one that was kept elsewhere with --key")
    if report.ok:
        click.echo("the bundle holds")
        return
    print_table(("finding", "where", "words"), _rows(report.findings))
    say(f"error: {len(report.findings) + report.more} findings")
    say("hint: docs/reference/findings.md says what each means; keep the bundle as it is")


def _rows(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.name, finding.subject, finding.words) for finding in findings]


def _object(verified: Verified) -> Leaf:
    report, manifest, checkpoint = verified.report, verified.manifest, verified.checkpoint
    told: Leaf = {
        "ok": report.ok,
        "key": verified.key,
        "key_is_the_bundles_own": verified.is_own_key,
        "steps": [{"name": step.name, "words": step.words, "ok": step.ok} for step in verified.steps],
        "checked": {name.replace(" ", "_"): count for name, count in report.checked.items()},
        "findings": _findings(report.findings),
        "accounted": _findings(report.accounted),
        "more": report.more,
    }
    if manifest is not None:
        told["manifest"] = {"made": manifest.made, "by": manifest.by, "purpose": manifest.purpose}
        told["counts"] = dict(manifest.counts)
        told["contents"] = manifest.contents
        told["not_sealed"] = dict(manifest.not_sealed)
    if checkpoint is not None:
        root = base64.b64encode(checkpoint.root).decode()
        told["checkpoint"] = {"origin": checkpoint.origin, "size": checkpoint.size, "root": root}
    return told


def _findings(findings: list[Finding]) -> list[Leaf]:
    return [{"name": one.name, "subject": one.subject, "words": one.words} for one in findings]
