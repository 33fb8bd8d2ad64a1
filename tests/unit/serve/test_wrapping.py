# SPDX-License-Identifier: Apache-2.0
"""Keys of new sessions are wrapped without holding the event loop up, in bounded time, or there is no session."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from gatebook.model.secret import Secret
from gatebook.serve import wrapping
from gatebook.serve.wrapping import Wrapping
from gatebook.vault.keys import parse_key
from gatebook.vault.transit import KeyStoreFault

KEY = Secret(b"k" * 32)


class Slow:
    """A remote store that answers when it is let."""

    id = "vault:main"
    is_remote = True

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = 0

    def wrap(self, session: str, recording_key: Secret) -> bytes:
        self.asked += 1
        if not self.let.wait(5):
            raise KeyStoreFault("silent")
        return session.encode()

    def unwrap(self, session: str, head: bytes) -> Secret:
        raise NotImplementedError


@pytest.mark.asyncio
async def test_wraps_at_once_where_the_key_is_here() -> None:
    key = parse_key(Secret("11" * 32))
    local = Wrapping(key)
    assert key.unwrap("s_1", local.wrap_here("s_1", KEY)) == KEY
    assert key.unwrap("s_1", await local.wrap("s_1", KEY)) == KEY
    local.close()


@pytest.mark.asyncio
async def test_the_loop_goes_on_while_another_machine_is_asked() -> None:
    store = Slow()
    remote = Wrapping(store)
    assert remote.wrap_here("s_1", KEY) == b""
    assert store.asked == 0
    work = asyncio.get_running_loop().create_task(remote.wrap("s_1", KEY))
    began = time.monotonic()
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert time.monotonic() - began < 1
    assert not work.done()
    store.let.set()
    assert await work == b"s_1"
    remote.close()


@pytest.mark.asyncio
async def test_waits_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "WRAP_S", 0.05)
    store = Slow()
    remote = Wrapping(store)
    with pytest.raises(KeyStoreFault, match="takes longer"):
        await remote.wrap("s_1", KEY)
    store.let.set()
    remote.close()


@pytest.mark.asyncio
async def test_lets_a_bounded_number_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "MOST_WAITING", 3)
    store = Slow()
    remote = Wrapping(store)
    waiting = [asyncio.get_running_loop().create_task(remote.wrap(f"s_{number}", KEY)) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(KeyStoreFault, match="3 logins wait"):
        await remote.wrap("s_9", KEY)
    store.let.set()
    assert await asyncio.gather(*waiting) == [b"s_0", b"s_1", b"s_2"]
    assert await remote.wrap("s_9", KEY) == b"s_9"
    remote.close()


@pytest.mark.asyncio
async def test_raises_what_the_store_raises() -> None:
    class Refusing(Slow):
        def wrap(self, session: str, recording_key: Secret) -> bytes:
            raise KeyStoreFault("sealed")

    remote = Wrapping(Refusing())
    with pytest.raises(KeyStoreFault, match="sealed"):
        await remote.wrap("s_1", KEY)
    remote.close()
