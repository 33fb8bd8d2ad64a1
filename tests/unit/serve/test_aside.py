# SPDX-License-Identifier: Apache-2.0
"""Long work beside the event loop: by turns over principals, and the loop goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gatebook.serve.aside import Aside


@pytest.mark.asyncio
async def test_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    aside = Aside()
    assert await aside.run("ada", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside.run("ada", lambda: 1 // 0)
    aside.close()


@pytest.mark.asyncio
async def test_the_loop_goes_on_meanwhile() -> None:
    aside, go_on = Aside(), threading.Event()
    async with asyncio.TaskGroup() as group:
        work = group.create_task(aside.run("ada", lambda: go_on.wait(10)))
        await asyncio.sleep(0)
        go_on.set()
    assert work.result()
    aside.close()


@pytest.mark.asyncio
async def test_whoever_asks_much_waits_for_themselves() -> None:
    aside, done = Aside(), list[str]()
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait(10)
        done.append("ada")

    async with asyncio.TaskGroup() as group:
        group.create_task(aside.run("ada", first))
        await asyncio.to_thread(begun.wait, 10)
        for _ in range(5):
            group.create_task(aside.run("ada", lambda: done.append("ada")))
        await asyncio.sleep(0)
        group.create_task(aside.run("bob", lambda: done.append("bob")))
        await asyncio.sleep(0)
        go_on.set()
    assert done == ["ada", "bob", *["ada"] * 5]
    aside.close()
