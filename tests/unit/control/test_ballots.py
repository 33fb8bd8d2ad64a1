# SPDX-License-Identifier: Apache-2.0
"""Votes at the console: who sees a request, who votes, what they sign, and that each challenge is for one vote."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.authenticator import PRESENT, SoftPasskey
from support.control import Desk, give_passkey, request_for
from support.people import make_key

from gatebook.control import api_approvals, library
from gatebook.control.problems import Problem
from gatebook.evidence.approval import Ballot
from gatebook.evidence.entry import decode_canonical
from gatebook.evidence.ssh_signature import parse_public_key, unarmored
from gatebook.evidence.vote_signature import challenge_of, verify_vote
from gatebook.model.approval import Request, State
from gatebook.model.credential import SigningKey


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def begin(desk: Desk, web: str, request: Request, choice: str = "approve", reason: str = "") -> httpx2.Response:
    return desk.ask("POST", f"/approvals/{request.id}/vote/begin", web=web, json={"choice": choice, "reason": reason})


def finish(
    desk: Desk, web: str, request: Request, begun: httpx2.Response, key: SoftPasskey, **client: object
) -> httpx2.Response:
    told = begun.json()
    credential = key.answer(unb64(told["options"]["challenge"]), **client)
    body = {"challenge": told["challenge"], "credential": credential}
    return desk.ask("POST", f"/approvals/{request.id}/vote/finish", web=web, json=body)


def state(desk: Desk, request: Request) -> State:
    found = desk.store.find_request(request.id)
    assert found is not None
    return found.state


def test_a_vote_by_passkey_signs_the_ballot_itself_and_verifies_offline(desk: Desk) -> None:
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    begun = begin(desk, web, request, reason="looked at it")
    assert begun.json()["options"]["userVerification"] == "required"
    assert finish(desk, web, request, begun, key).json()["state"] == "granted"
    (voted,) = desk.entries("approval.voted")
    ballot = Ballot.from_value(voted["vote"])
    assert (ballot.reason, ballot.digest, ballot.shown) == ("looked at it", request.digest, request.shown_digest)
    assert unb64(begun.json()["options"]["challenge"]) == challenge_of(ballot.message())
    signature = base64.b64decode(str(voted["signature"]))
    verify_vote("webauthn", key.key.text, ballot.message(), signature)
    assert decode_canonical(signature).keys() == {"authenticator", "client", "signature"}
    assert state(desk, request) is State.GRANTED


def test_ap_06_a_challenge_is_for_one_answer(desk: Desk) -> None:
    """AP-06: what was approved once is no leave for more."""
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    begun = begin(desk, web, request)
    assert finish(desk, web, request, begun, SoftPasskey()).status_code == 422
    assert finish(desk, web, request, begun, key).status_code == 409, "used up by the one before"
    assert state(desk, request) is State.PENDING


def test_a_challenge_is_for_one_request_one_session_and_some_minutes(desk: Desk) -> None:
    one, other = request_for(desk), request_for(desk)
    key, web = give_passkey(desk, "ann"), desk.sign_in("ann")
    assert finish(desk, web, other, begin(desk, web, one), key).status_code == 409
    assert finish(desk, desk.sign_in("ann"), one, begin(desk, web, one), key).status_code == 409
    begun = begin(desk, web, one)
    desk.clock.move(minutes=5)
    assert finish(desk, web, one, begun, key).status_code == 409
    assert desk.entries("approval.voted") == []


@pytest.mark.parametrize("flags", [0, PRESENT])
def test_ap_06_who_was_not_verified_has_not_voted(desk: Desk, flags: int) -> None:
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    begun = begin(desk, web, request)
    key.flags = flags
    assert finish(desk, web, request, begun, key).status_code == 422
    assert state(desk, request) is State.PENDING


def test_a_signature_made_at_another_address_is_refused(desk: Desk) -> None:
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    begun = begin(desk, web, request)
    assert finish(desk, web, request, begun, key, origin="http://localhost:9999").status_code == 422
    assert desk.entries("approval.voted") == []


def test_one_persons_passkey_does_not_sign_for_another(desk: Desk) -> None:
    request, web = request_for(desk, groups=("auditors",)), desk.sign_in("aud")
    give_passkey(desk, "aud")
    anns = give_passkey(desk, "ann")
    assert finish(desk, web, request, begin(desk, web, request), anns).status_code == 422
    assert state(desk, request) is State.PENDING


def test_to_deny_needs_a_reason(desk: Desk) -> None:
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    assert begin(desk, web, request, "deny", "  ").json()["code"] == "reason"
    assert finish(desk, web, request, begin(desk, web, request, "deny", "no"), key).json()["state"] == "denied"
    (ended,) = desk.entries("approval.ended")
    assert (ended["result"], ended["reason"]) == ("denied", "no")


def test_who_is_not_asked_cannot_begin_to_vote(desk: Desk) -> None:
    request = request_for(desk)
    give_passkey(desk, "aud")
    assert begin(desk, desk.sign_in("aud"), request).status_code == 409, "an auditor sees it and is not asked"
    assert begin(desk, desk.sign_in("per"), request).status_code == 403
    assert begin(desk, desk.sign_in("ann"), request).json()["code"] == "passkey"
    later = desk.sign_in("per")
    desk.clock.move(seconds=1)
    desk.store.set_groups(desk.subject("per"), ["dba"], desk.clock.now)
    assert "only since it was asked" in begin(desk, later, request).json()["detail"]


def test_nobody_votes_on_what_their_own_agent_asks(desk: Desk) -> None:
    desk.store.set_groups(desk.subject("alice"), ["dba"], desk.clock.now)
    desk.clock.move(seconds=1)
    request = request_for(desk)
    assert "cannot consent" in begin(desk, desk.sign_in("alice"), request).json()["detail"]


def test_a_vote_without_a_key_counts_only_where_the_request_says_so(desk: Desk) -> None:
    strict, mild, web = request_for(desk), request_for(desk, signed=False), desk.sign_in("ann")
    form = {"choice": "approve", "reason": ""}
    refused = desk.ask("POST", f"/approvals/{strict.id}/vote", web=web, data=form)
    assert (refused.status_code, refused.json()["detail"]) == (409, "the vote is not signed")
    assert desk.ask("POST", f"/approvals/{mild.id}/vote", web=web, data=form).status_code == 303
    assert (state(desk, strict), state(desk, mild)) == (State.PENDING, State.GRANTED)


def test_the_page_shows_the_operation_first_and_the_askers_words_last_and_apart(desk: Desk) -> None:
    request = request_for(desk)
    give_passkey(desk, "ann")
    page = desk.ask("GET", f"/approvals/{request.id}", web=desk.sign_in("ann"), headers={"accept": "text/html"}).text
    places = [
        page.index(words) for words in ("DELETE FROM &lt;orders&gt;", "Who asks, and where", "Nobody has checked")
    ]
    assert places == sorted(places)
    assert page.index("please, it is urgent &lt;script&gt;") > page.index("Nobody has checked")
    assert "<orders>" not in page
    assert "<script>" not in page


def test_a_request_is_seen_by_whose_business_it_is(desk: Desk) -> None:
    request = request_for(desk)

    def seen(**who: str) -> tuple[int, int]:
        listed = desk.ask("GET", "/api/v1/approvals", **who).json()  # type: ignore[arg-type]  # `web` or `bearer`
        return len(listed), desk.ask("GET", f"/api/v1/approvals/{request.id}", **who).status_code  # type: ignore[arg-type]  # as above

    assert seen(web=desk.sign_in("ann")) == (1, 200)
    assert seen(bearer=desk.bearer) == (1, 200)
    assert seen(web=desk.sign_in("alice")) == (1, 200)
    assert seen(web=desk.sign_in("per")) == (0, 404)
    assert desk.entries("evidence.viewed") == []
    assert seen(web=desk.sign_in("aud")) == (1, 200)
    (viewed,) = desk.entries("evidence.viewed")
    assert (viewed["form"], viewed["purpose"], viewed["by"]) == (
        "approval",
        f"approval {request.id}",
        "gatebook:gate|aud",
    )


def test_the_inbox_answers_only_what_has_changed(desk: Desk) -> None:
    web = desk.sign_in("ann")
    part = {"hx-request": "true"}
    first = desk.ask("GET", "/approvals", web=web, headers=part)
    since = first.text.partition("since=")[2].partition('"')[0]
    assert "Nothing waits" in first.text
    assert desk.ask("GET", f"/approvals?since={since}", web=web, headers=part).status_code == 204
    request_for(desk)
    changed = desk.ask("GET", f"/approvals?since={since}", web=web, headers=part)
    assert 'data-waiting="1"' in changed.text


def signed_elsewhere(desk: Desk, folder: Path, request: Request, name: str = "ann") -> dict[str, Any]:
    """Sign a ballot as a person would on their own machine."""
    key = make_key(folder, name)
    public = parse_public_key(key.public.read_text())
    desk.store.add_signing_key(
        SigningKey(public.fingerprint, public.kind, public.text, desk.subject(name), desk.clock.now)
    )
    asked = desk.ask("GET", f"/api/v1/approvals/{request.id}/ballot?choice=approve", web=desk.sign_in(name)).json()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "gatebook-approval", "-f", str(key.file)]
    done = subprocess.run(command, input=base64.b64decode(asked["message"]), capture_output=True, check=True)
    signature = base64.b64encode(unarmored(done.stdout.decode())).decode()
    return {"ballot": asked["ballot"], "method": "ssh", "key": public.fingerprint, "signature": signature}


def test_a_vote_signed_elsewhere_is_handed_in_by_who_signed_it(desk: Desk, tmp_path: Path) -> None:
    request = request_for(desk)
    vote = signed_elsewhere(desk, tmp_path / "keys", request)
    path = f"/api/v1/approvals/{request.id}/vote"
    assert desk.ask("POST", path, bearer=desk.bearer, json=vote).status_code == 403
    assert desk.ask("POST", path, web=desk.sign_in("aud"), json=vote).status_code == 403
    other = json.loads(json.dumps(vote))
    other["ballot"]["choice"] = "deny"
    other["ballot"]["reason"] = "x"
    assert desk.ask("POST", path, web=desk.sign_in("ann"), json=other).status_code == 422
    assert state(desk, request) is State.PENDING
    done = desk.ask("POST", path, web=desk.sign_in("ann"), json=vote)
    assert (done.status_code, done.json()["state"]) == (200, "granted")


def test_the_asker_or_who_answers_for_it_cancels_and_nobody_else(desk: Desk) -> None:
    one, other = request_for(desk), request_for(desk)
    path = "/api/v1/approvals/{}/cancel"
    assert desk.ask("POST", path.format(one.id), web=desk.sign_in("ann"), json={}).status_code == 403
    assert desk.ask("POST", path.format(one.id), bearer=desk.bearer, json={}).json()["state"] == "cancelled"
    assert desk.ask("POST", path.format(other.id), web=desk.sign_in("alice"), json={}).json()["state"] == "cancelled"
    assert desk.ask("POST", path.format(one.id), bearer=desk.bearer, json={}).status_code == 409


def test_consent_is_withdrawn_before_it_is_used(desk: Desk) -> None:
    request, key, web = request_for(desk), give_passkey(desk, "ann"), desk.sign_in("ann")
    finish(desk, web, request, begin(desk, web, request), key)
    done = desk.ask("POST", f"/approvals/{request.id}/withdraw", web=web, data={"reason": "on second thoughts"})
    assert done.status_code == 303
    assert state(desk, request) is State.WITHDRAWN


def test_a_stream_tells_what_is_open_and_ends_for_who_is_shut_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_for(desk)
    monkeypatch.setattr(api_approvals, "LOOK_S", 0.0)

    async def shut_out(_seconds: float) -> None:
        desk.store.disable_person(desk.subject("ann"), desk.clock.now)

    monkeypatch.setattr("gatebook.control.api_approvals.asyncio.sleep", shut_out)
    told = desk.ask("GET", "/api/v1/approvals/events", web=desk.sign_in("ann")).text
    assert told.startswith(": open\n\nid: ")
    assert told.count("event: request") == 1
    assert request.id in told


def test_a_book_that_too_many_read_is_not_read_by_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "TURN_S", 0)
    monkeypatch.setattr(library, "AT_ONCE", 0)
    busy = library.Library(desk.gate.settings)
    with pytest.raises(Problem) as refused:
        busy.read_session("s_1")
    assert refused.value.status == 429
