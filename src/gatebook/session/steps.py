# SPDX-License-Identifier: Apache-2.0
"""The way of one operation, for every protocol. Read this file aloud and you have read the product.

1. accept       a connection comes in, inside TLS                      rust/carrier, `listener.rs`
2. identify     whose credential is it                                 `admit`, by gatebook.identity
3. admit        may they be here, and as which role                    `admit`
4. read         what does the message mean                             gatebook.protocols, rust/wire
5. decide       may they do each thing that it would do                `decide`
6. approve      do named people consent, if a policy asks for it       `approve`, by gatebook.approval
7. write ahead  the intent is in the journal before a byte leaves      rust/wire `proof.rs`, rust/carrier `journal.rs`
8. carry        the operation goes to the target, and only then        rust/carrier, `session.rs`
9. mask         what comes back is cleared for the client              rust/wire `Cleared`
10. record      both directions, as the client saw them                rust/carrier, `recorder.rs`
11. prove       outcome and end are written; anybody can verify        rust/wire `evidence.rs`, gatebook.evidence

Deny is what one gets by doing nothing. This is the only place that calls the policy engine's `decide`, and the only
maker of an `Admitted` and of a `Verdict`.

An operation that is held is asked about again when its wait is over: it is decided anew, and its approval has to fit
what it is then.
"""

from __future__ import annotations

from dataclasses import replace

from gatebook.identity import api_key, certificate, token
from gatebook.model.approval import Hold
from gatebook.model.decision import Decision, Refused, Result, Verdict
from gatebook.model.ids import SessionId
from gatebook.model.operation import Access, CacheScope, ObjectKind, ObjectRef, Operation, Statement
from gatebook.model.principal import Check, Identified, NotIdentified, Principal
from gatebook.model.target import Role, Target
from gatebook.policy.engine import Engine, Explained, Fact
from gatebook.policy.obligations import join_holds
from gatebook.session.gate import (
    Admitted,
    Circumstances,
    Consent,
    Grant,
    Knock,
    NoConsent,
    NotAdmitted,
    Rules,
    Session,
    Waits,
)

# LIMIT: accesses and policies told to a client; the book has them all.
TOLD = 20
AT_BIND = "at bind"  # a statement that is parsed does not run: people are asked when it is bound
HALTED = "evidence"  # the check that fails where an identity is good, and nothing new may begin

_UNSEEN = Refused(
    code="approval.unseen",
    message="people are asked to approve this, and nobody can see the data that would follow",
    hint="send the rows in statements of their own, or ask for a policy that says so with `unseen`",
)
_NOT_GOOD = Refused(
    code="authn.failed",
    message="the gate does not accept this login",
    hint="check credential, expiry, user name and database (target); the operator finds the failed check in the book",
)


def admit(knock: Knock, rules: Rules, session_id: SessionId, evaluation: Circumstances) -> Admitted | NotAdmitted:
    """Steps 2 and 3. To the client, a bad credential and a target that is not there are one answer."""
    # 2. identify: the credential, then that it belongs to the user name that was claimed
    answer = _identify(knock, rules)
    if isinstance(answer, NotIdentified):
        return NotAdmitted(answer, _NOT_GOOD)
    principal, checks = answer.principal, answer.checks
    place = knock.place
    grant = _grant(principal, place.target, knock) if place else None
    role = _role(principal, place.target, grant) if place else None
    for name, passed in (
        ("user", (place is not None and place.any_user) or knock.user in answer.names),
        ("target", place is not None),
        ("role", role is not None),
    ):
        checks = (*checks, Check(name, passed))
        if not passed:
            return _stopped(answer, checks)
    # 3. admit: the role, and the policy's word on being here with these start-up options
    if place is None or role is None:  # the checks above have said so already
        checks = (*checks, Check("role", passed=False))
        return _stopped(answer, checks)
    session = Session(session_id, principal, place.target, role, place.database, knock.tls)
    if grant is not None:
        session = replace(session, grant=grant.request, grant_ends_at=grant.ends_at)
    here = ObjectRef(ObjectKind.DATABASE, (place.target.name, place.database))
    login = Statement("LOGIN", (Access("login", here), *knock.accesses), privileged=False)
    decision = _judge(session, Operation("login", (login,)), login, rules, evaluation)
    checks = (*checks, Check("policy", decision.result is Result.ALLOW))
    identified = replace(answer, checks=checks)
    if decision.result is not Result.ALLOW:
        words = "no policy lets this identity connect here with these options"
        refused = Refused("admit.denied", words, _reasons(decision), facts=_facts(decision))
        return NotAdmitted(identified, refused)
    if rules.halted is not None:
        identified = replace(answer, checks=(*checks, Check(HALTED, passed=False)))
        return NotAdmitted(identified, rules.halted)
    return Admitted(session, identified, decision)


def _identify(knock: Knock, rules: Rules) -> Identified | NotIdentified:
    """A credential is a certificate if one was shown, else a token or a key by its looks; never one after the other."""
    if knock.certificates:
        return certificate.verify(knock.certificates, rules.authorities, knock.now)
    credential = knock.credential.reveal()
    if token.looks_like_token(credential):
        return token.verify(credential, rules.tokens, knock.now)
    return api_key.verify(credential, rules.book, knock.now)


def _stopped(answer: Identified, checks: tuple[Check, ...]) -> NotAdmitted:
    """A good credential that is not good here: to the client, the same as a bad one."""
    credential = answer.principal.credential
    return NotAdmitted(NotIdentified(checks, credential, answer.token, answer.certificate), _NOT_GOOD)


def turn_away(check: str, refused: Refused) -> NotAdmitted:
    """A client whose request could not even be read: the named check failed, and no credential was looked at."""
    return NotAdmitted(NotIdentified((Check(check, passed=False),)), refused)


def decide(session: Session, operation: Operation, rules: Rules, circumstances: Circumstances) -> Verdict:
    """Step 5: judge every statement of a message before any of it is sent; one no is a no to all."""
    if rules.halted is not None and operation.statements:
        return _halt(operation, rules, rules.halted, circumstances)
    decided: dict[tuple[object, ...], Decision] = {}
    decisions: list[Decision] = []
    for statement in operation.statements:
        same = (statement.verb, statement.accesses, statement.context)
        if same not in decided:
            decided[same] = _judge(session, operation, statement, rules, circumstances)
        decisions.append(decided[same])
    refused = next((_refusal(rules, found) for found in decisions if found.result is Result.REFUSE), None)
    held = None if refused else join_holds(found.hold for found in decisions if found.hold is not None)
    if held is not None and not held.unseen and any(statement.unseen for statement in operation.statements):
        refused, held = _UNSEEN, None
    if held is not None and operation.via == "parse":
        decisions, held = [_later(found) for found in decisions], None
    is_kept = not (refused or any(found.hold for found in decisions))
    return Verdict(
        evaluation=circumstances.evaluation,
        statements=operation.statements,
        decisions=tuple(decisions),
        refused=refused,
        cache=_scope(operation, decisions) if is_kept else CacheScope.NONE,
        ttl_s=rules.verdict_ttl_s,
        held=held,
    )


def approve(verdict: Verdict, answer: Consent | NoConsent | Waits) -> Verdict:
    """Step 6: what becomes of a held message. Nothing of it runs unless people consented to all of it."""
    assert verdict.held is not None
    if isinstance(answer, Waits):
        return _settled(verdict, answer.request, verdict.held, salt=answer.salt, notice=answer.notice)
    if isinstance(answer, NoConsent):
        no = replace(verdict, refused=answer.refused)
        return _settled(no, answer.request, None, salt=answer.salt, result=Result.REFUSE)
    return _settled(verdict, answer.request, None, salt=answer.salt, result=Result.ALLOW)


def _settled(
    verdict: Verdict,
    request: str,
    held: Hold | None,
    *,
    salt: str,
    result: Result | None = None,
    notice: Refused | None = None,
) -> Verdict:
    decisions = tuple(
        replace(found, result=result or found.result, approval=request) if found.hold else found
        for found in verdict.decisions
    )
    return replace(verdict, decisions=decisions, held=held, salt=salt, notice=notice)


def _later(decision: Decision) -> Decision:
    return replace(decision, result=Result.ALLOW, approval=AT_BIND) if decision.hold else decision


def _halt(operation: Operation, rules: Rules, refused: Refused, circumstances: Circumstances) -> Verdict:
    """No to everything, whatever a policy would say; what was decided before is void by another epoch."""
    no = rules.engine.refuse(refused.code, refused.message)
    return Verdict(
        evaluation=circumstances.evaluation,
        statements=operation.statements,
        decisions=(no,) * len(operation.statements),
        refused=refused,
        cache=CacheScope.NONE,
        ttl_s=rules.verdict_ttl_s,
    )


def explain(
    session: Session, operation: Operation, statement: Statement, engine: Engine, circumstances: Circumstances
) -> list[Explained]:
    """Tell per access what every policy says, under the same context as a decision. Decides nothing."""
    context = _context(session, operation, statement, circumstances)
    return engine.explain(session.principal, statement.accesses, context, circumstances.kind_of)


def _judge(
    session: Session, operation: Operation, statement: Statement, rules: Rules, circumstances: Circumstances
) -> Decision:
    context = _context(session, operation, statement, circumstances)
    return rules.engine.decide(session.principal, statement.accesses, context, circumstances.kind_of)


def _context(
    session: Session, operation: Operation, statement: Statement, circumstances: Circumstances
) -> dict[str, Fact]:
    """What a policy may read beside principal, action and resource."""
    return {
        **dict(statement.context),
        "role": session.role.name,
        "verb": statement.verb,
        "via": operation.via,
        "statement_count": len(operation.statements),
        "in_transaction": circumstances.in_transaction,
        "tls": session.tls,
        "now": circumstances.now,
    }


def _grant(principal: Principal, target: Target, knock: Knock) -> Grant | None:
    """The newest role at the target that the principal has for a time."""
    return next((grant for grant in knock.grants(principal.subject) if grant.target == target.name), None)


def _role(principal: Principal, target: Target, grant: Grant | None) -> Role | None:
    """The role that was given for a time, else the first of the target for a group of the principal.

    A role without groups is for everybody (`try`); one that has to be asked for is nobody's without a grant.
    """
    mine = (role for role in target.roles if not role.groups or set(role.groups) & set(principal.groups))
    if grant is not None:
        return next((role for role in mine if role.name == grant.role and role.is_on_request), None)
    return next((role for role in mine if not role.is_on_request), None)


def _scope(operation: Operation, decisions: list[Decision]) -> CacheScope:
    """The widest scope that every statement allows; none where a policy reads what no key holds."""
    if any(decision.time_dependent for decision in decisions):
        return CacheScope.NONE
    scopes = {statement.cacheable for statement in operation.statements}
    for narrow in (CacheScope.NONE, CacheScope.EXACT):
        if narrow in scopes:
            return narrow
    return CacheScope.SHAPE if scopes else CacheScope.EXACT


def _refusal(rules: Rules, decision: Decision) -> Refused:
    hints = [hint for policy in decision.policies if (hint := rules.engine.hint(policy))]
    usual = {
        "policy.denied": "ask for a permit for what is named, or do without it",
        "policy.error": "tell the operator of the gate: a policy fails to evaluate",
        "policy.opaque": "write the statement so that the gate can read what it does",
        "policy.unknown": "name the object with its schema, and see that it exists",
    }
    return Refused(
        code=decision.code,
        message=_reasons(decision),
        hint="; ".join(hints) or usual.get(decision.code, ""),
        facts=_facts(decision),
    )


def _reasons(decision: Decision) -> str:
    return "; ".join(decision.reasons[:TOLD]) or "refused"


def _facts(decision: Decision) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
    """Members of the object for agents, sorted."""
    denied = tuple(f"{access.action} {access.object}" for access in decision.denied[:TOLD])
    return (
        ("code", decision.code),
        ("denied", denied),
        ("policies", decision.policies[:TOLD]),
        ("policy_hash", decision.policy_hash),
    )
