# SPDX-License-Identifier: Apache-2.0
"""The demo's acts, each as a test: the stage is set once, and every act must leave client, book and shop as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from acts import ACTS, Act
from stage import Stage, set_stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("demo") / "gate", lambda _: None) as made:
        yield made


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.title.replace(" ", "_"))
def test_an_act_leaves_client_book_and_shop_as_it_says(stage: Stage, act: Act) -> None:
    seen, session = stage.play(act)
    assert list(act.check(seen, session["operations"], stage.ask)) == []
    assert session["cause"] == "client closed"


def test_the_shop_has_a_hundred_thousand_rows_and_is_the_same_each_time(stage: Stage) -> None:
    assert stage.ask("SELECT count(*) FROM customers") == "8000"
    assert int(stage.ask("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM payments)")) == 102_012
    digest = "SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM customers AS c"
    assert stage.ask(digest) == "1fa90f396c1bfec126197aef05f6493d"


def test_the_printed_explanation_says_what_is_missing(stage: Stage) -> None:
    words = ("--as", "stock-helper", "--group", "shop-agents", "--target", "shop", "DELETE FROM orders")
    (told,) = cast("list[dict[str, object]]", stage.gate.ask("policy", "explain", *words, check=False))
    assert told["permitted"] is False
    assert told["reason"] == "no policy permits `delete` on Relation `shop.shop.public.orders`"


def test_the_book_of_the_demo_is_whole(stage: Stage) -> None:
    verified = stage.gate.ask("ledger", "verify")
    assert isinstance(verified, dict)
    assert verified["ok"] is True
    assert verified["findings"] == []
