# SPDX-License-Identifier: Apache-2.0
"""What an approval of a PostgreSQL message covers, and what people are shown of it.

SPEC: docs/spec/approval.md, "Binding". Source of the form of parameters: PostgreSQL documentation, "Message Formats",
Bind and FunctionCall. Nothing here raises for what a client sent: what cannot be told to people is unfit.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from gatebook.model.approval import Cover
from gatebook.model.decision import Verdict
from gatebook.model.operation import Access, ObjectKind
from gatebook.native.pure import Question
from gatebook.policy.engine import Engine
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.session.binding import BYTES, PARTS, Leaf, Matter, Value, canonical, common_part
from gatebook.session.gate import Session


def bind_matter(
    question: Question,
    verdict: Verdict,
    session: Session,
    engine: Engine,
    *,
    view: CatalogueView,
    facts: SessionFacts | None,
) -> Matter:
    """Return what is put to people of a message that is held."""
    assert verdict.held is not None
    cover = verdict.held.cover
    text = blotted(question.text, [blot for statement in verdict.statements for blot in statement.blots])
    params, formats = read_parameters(question.arguments if question.via in {"bind", "function"} else b"", question.via)
    accesses: list[Value] = [
        [access.action, f"{access.object.kind.value}:{access.object}", _version(access, view, facts)]
        for access in sorted({access for statement in verdict.statements for access in statement.accesses})
    ]
    public = common_part(session, verdict, engine) | {
        "via": question.via,
        "facts": _facts(facts),
        "accesses": accesses,
        "verbs": [statement.verb for statement in verdict.statements],
    }
    hidden: dict[str, bytes] = {}
    if cover is Cover.EXACT:
        public |= {"types": _oids(question.types), "formats": list(formats)}
        hidden |= {"text": text, "exact": question.text + b"\0" + question.arguments, "params": canonical(params)}
    elif cover is Cover.SHAPE:
        public["shapes"] = [statement.shape for statement in verdict.statements]
    prepared = [[_text(name), _text(sql)] for name, sql in sorted(question.prepared)]
    if prepared:
        hidden["prepared"] = canonical(prepared)
    shown: Leaf = {
        "accesses": accesses,
        "params": params,
        "policies": _policies(verdict, engine),
        "prepared": prepared,
        "shapes": [statement.shape for statement in verdict.statements],
        "text": _text(text),
        "verbs": public["verbs"],
    }
    return Matter(public, hidden, shown, _unfit(question, verdict, facts, accesses))


def blotted(text: bytes, blots: Sequence[tuple[int, int]]) -> bytes:
    """Return the text with each byte of the ranges as `*`, as the private part of an entry has it."""
    found = bytearray(text)
    for start, end in blots:
        found[start:end] = b"*" * (min(end, len(found)) - start)
    return bytes(found)


def read_parameters(arguments: bytes, via: str) -> tuple[list[Value], list[int]]:
    """Return parameters as the private part of an entry has them, and the format codes of parameters and results.

    `arguments` is a Bind behind its names, or a FunctionCall's body. Malformed ones give no parameters and the format
    -1: the server refuses them.
    """
    reader = _Reader(arguments[4:] if via == "function" else arguments)
    if not arguments:
        return [], []
    try:
        codes = [reader.short() for _ in range(reader.short())]
        count = reader.short()
        if len(codes) not in {0, 1, count}:
            return [], [-1]
        params: list[Value] = []
        for index in range(count):
            code = codes[0] if len(codes) == 1 else codes[index] if codes else 0
            params.append(_parameter(reader.value(), code))
        results = [reader.short()] if via == "function" else [reader.short() for _ in range(reader.short())]
    except ValueError:
        return [], [-1]
    return params, [len(codes), *codes, *results]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if count < 0 or len(taken) != count:
            raise ValueError
        self._at += count
        return taken

    def short(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def value(self) -> bytes | None:
        length = int.from_bytes(self.take(4), "big", signed=True)
        return None if length == -1 else self.take(length)


def _parameter(value: bytes | None, code: int) -> Value:
    if value is None:
        return {"null": True}
    if code == 0:
        try:
            return {"text": value.decode()}
        except UnicodeDecodeError:
            pass
    return {"base64": base64.b64encode(value).decode()}


def _text(text: bytes) -> Value:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(text).decode()}


def _oids(types: bytes) -> list[Value]:
    return [int.from_bytes(types[start : start + 4], "big") for start in range(0, len(types), 4)]


def _version(access: Access, view: CatalogueView, facts: SessionFacts | None) -> str:
    ref = access.object
    is_relation = ref.kind in {ObjectKind.RELATION, ObjectKind.COLUMN}
    if facts is not None and is_relation and ref.path[2] == "pg_temp":
        relation = facts.temp_relations.get(ref.path[3])
        return f"temporary {relation.kind} ({', '.join(relation.columns)})" if relation else ""
    return view.version_of(ref)


def _facts(facts: SessionFacts | None) -> Leaf:
    if facts is None:
        return {}
    return {
        "schemas": list(facts.schemas),
        "creation": facts.creation_schema,
        "search_path": facts.search_path,
        "session_user": facts.session_user,
        "current_user": facts.current_user,
        "encoding": facts.client_encoding,
        "strings": facts.standard_conforming_strings,
    }


def _policies(verdict: Verdict, engine: Engine) -> list[Value]:
    ids = sorted({policy for decision in verdict.decisions for policy in decision.policies})
    return [{"id": policy, "message": engine.message(policy), "hint": engine.hint(policy)} for policy in ids]


def _unfit(question: Question, verdict: Verdict, facts: SessionFacts | None, accesses: Sequence[Value]) -> str:
    sizes = len(question.text) + len(question.arguments) + sum(len(text) for _, text in question.prepared)
    policies = {policy for decision in verdict.decisions for policy in decision.policies}
    if facts is None:
        return "names in it do not resolve now"
    if sizes > BYTES or max(len(accesses), len(verdict.statements), len(policies)) > PARTS:
        return "it is too long to be read by a person"
    return ""
