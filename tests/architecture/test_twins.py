# SPDX-License-Identifier: Apache-2.0
"""Each module has a unit test of its own name, or stands in one list with the reason why it has none."""

from __future__ import annotations

from pathlib import Path

from architecture.project import ROOT, files, modules, relative, tree

# Modules without a twin. The reason says where their behaviour is tested.
WITHOUT_TWIN = {
    "gatebook.__main__": "tests/unit/cli/test_notary.py runs it",
    "gatebook.app": "the composition root: every test in tests/real runs it",
    "gatebook.trial": "tests/real runs `gatebook try`",
    "gatebook.cli.custody": "tests/unit/cli/test_consent.py, test_hold.py and test_purge.py run it",
    "gatebook.config.declaring": "tests/unit/config/test_settings.py looks at every setting that is declared",
    "gatebook.config.identities": "declarations; tests/unit/config/test_issuers.py and test_authorities.py use them",
    "gatebook.cli.verdicts": "values; tests/unit/cli/test_checkup.py compares them",
    "gatebook.cli.receipt": "tests/unit/cli/test_notary.py makes receipts of what it has sealed",
    "gatebook.cli.viewing": "tests/unit/cli/test_replay.py and test_export.py look through it",
    "gatebook.views.looking": "as above, and tests/unit/control/test_replay.py",
    "gatebook.views.places": "every command that reads a data folder uses it: tests/unit/cli",
    "gatebook.views.telling": "tests/unit/cli/test_sessions.py and test_search.py print what it tells",
    "gatebook.views.indexed": "tests/unit/cli/test_index.py and test_search.py open ledgers with it",
    "gatebook.cli.stopping": "tests/unit/cli/test_notary.py and test_index.py stop commands with it",
    "gatebook.evidence.verify_ledger": "tests/security/test_au_ledger.py changes what it verifies, in every way",
    "gatebook.cli.control": "tests/browser and tests/security/test_control_api.py run it",
    "gatebook.control.api_approvals": "tests/unit/control/test_ballots.py, tests/security/test_control_api.py",
    "gatebook.control.api_book": "tests/unit/control/test_pages_book.py asks it beside the pages",
    "gatebook.control.api_models": "declarations; every test of the API reads them",
    "gatebook.control.api_rules": "tests/unit/control/test_pages_rules.py asks it beside the pages",
    "gatebook.control.assembly": "every test in tests/unit/control assembles a console",
    "gatebook.control.caller": "tests/unit/control/test_access.py is each of them",
    "gatebook.control.directory": "tests/unit/control/test_pages_rules.py lists with it",
    "gatebook.control.endpoints": "values; tests/unit/control/test_access.py looks at every one",
    "gatebook.control.library": "tests/unit/control/test_pages_book.py lists with it",
    "gatebook.control.looks": "tests/unit/control/test_pages_book.py looks through it",
    "gatebook.control.pages_approvals": "tests/unit/control/test_ballots.py votes through it, tests/browser too",
    "gatebook.control.pages_sign_in": "tests/unit/control/test_passkeys.py and tests/real/test_sign_in.py use it",
    "gatebook.control.problems": "every test in tests/unit/control meets some",
    "gatebook.control.provider": "tests/real/test_sign_in.py signs in with a certified provider",
    "gatebook.control.questions": "tests/unit/control/test_pages_book.py asks with it",
    "gatebook.control.rendering": "tests/unit/control/test_outermost.py reads every template",
    "gatebook.control.rules": "tests/unit/control/test_pages_rules.py reads and explains with it",
    "gatebook.control.serving": "tests/browser and tests/security/test_control_api.py serve with it",
    "gatebook.control.verifying": "tests/unit/control/test_pages_book.py verifies with it",
    "gatebook.native.carrier": "re-exports; the native objects are tested in rust/carrier and by tests/real",
    "gatebook.native.pure": "re-exports; the functions are tested in rust/wire and rust/pgparse and by tests/playbook",
    "gatebook.serve.catalogues": "needs a database: tests/real",
    "gatebook.serve.export_run": "tests/security/test_au_export.py runs and kills it",
    "gatebook.serve.exports": "tests/real/test_export.py kills what it starts",
    "gatebook.serve.follow": "tests/real follows a book",
    "gatebook.serve.child": "tests/real/test_ledger.py and test_search.py kill such processes",
    "gatebook.serve.fresh": "draws from clock and randomness, and decides nothing",
    "gatebook.serve.gateway": "needs a carrier and a database: tests/real",
    "gatebook.serve.indexer": "tests/real/test_search.py kills it",
    "gatebook.serve.inquiry": "needs a database: tests/real",
    "gatebook.serve.live": "values",
    "gatebook.serve.notifications": "tests/real/test_notify.py kills what it starts",
    "gatebook.serve.notify_run": "tests/real/test_notify.py and tests/unit/cli/test_notify.py run it",
    "gatebook.serve.ending": "every process beside a gate ends by it: tests/real",
    "gatebook.process.logs": "sets up the log of the process, once; tests/real read it",
    "gatebook.serve.notary": "tests/real/test_ledger.py kills it, and lets it find tampering",
    "gatebook.process.tasks": "tests/real ends gates with work under way",
    "gatebook.vault.notary": "tests/faults/test_notary.py breaks each step, tests/security/test_au_ledger.py tampers",
    "gatebook.vault.receipts": "tests/unit/cli/test_notary.py makes receipts of what it has sealed",
    "gatebook.vault.sealer": "tests/unit/cli/test_notary.py runs it",
    "gatebook.vault.standing": "tests/unit/cli/test_notary.py shows it",
    "gatebook.model.ids": "names for types; nothing to run",
}
# Unit tests that are about something else than one module.
WITHOUT_MODULE = {
    "tests/unit/protocols/postgres/test_threats.py": "attacks by meaning, across the modules of the protocol",
    "tests/unit/protocols/postgres/test_actions_document.py": "the reference page of actions",
    "tests/unit/evidence/test_vectors.py": "the published vectors, across entry, journal, private and recording",
    "tests/unit/evidence/test_harmless.py": "escape sequences, across render and replay",
}


def _twin(name: str) -> Path:
    parts = name.split(".")[1:]
    return ROOT.joinpath("tests/unit", *parts[:-1], f"test_{parts[-1]}.py")


def _has_statements(path: Path) -> bool:
    return path.name != "__init__.py" and len(tree(path).body) > 1


def test_every_module_has_its_twin() -> None:
    lacking = [
        name
        for name, path in modules().items()
        if _has_statements(path) and name not in WITHOUT_TWIN and not _twin(name).exists()
    ]
    assert lacking == []


def test_every_unit_test_has_its_module() -> None:
    twins = {_twin(name) for name in modules() if "." in name}
    orphans = [
        relative(path)
        for path in files(".py", below="tests/unit")
        if path.name.startswith("test_") and path not in twins and relative(path) not in WITHOUT_MODULE
    ]
    assert orphans == []


def test_the_list_of_modules_without_twin_holds_no_other() -> None:
    assert [name for name in WITHOUT_TWIN if name not in modules() or _twin(name).exists()] == []


def test_the_list_of_tests_without_module_holds_no_other() -> None:
    assert [name for name in WITHOUT_MODULE if not (ROOT / name).exists()] == []
