# SPDX-License-Identifier: Apache-2.0
"""A network that misbehaves: a TCP proxy on loopback that delays, stalls, drops and cuts, by chance from a seed."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 16_384


@dataclass(frozen=True)
class Weather:
    """How likely each fault is for a piece of bytes, and how long the slow ones take."""

    delay: float = 0.02
    delay_s: float = 0.03
    stall: float = 0.002
    stall_s: float = 0.5
    # Everything from here on is lost, and the connection with it once that was noticed: TCP loses nothing silently.
    drop: float = 0.002
    cut: float = 0.003
    reset: float = 0.003


@dataclass
class BadNetwork:
    """Connections to `port` go on to `target`. `calm` passes everything on; faults are counted."""

    target: int
    weather: Weather
    seed: int
    port: int = 0
    calm: threading.Event = field(default_factory=threading.Event)
    did: Counter[str] = field(default_factory=Counter)
    _open: set[socket.socket] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        """Accept until closed; each connection has a thread and a generator of its own, by its number."""
        number = 0
        while not self._closing.is_set():
            if not select.select([listener], [], [], 0.1)[0]:
                continue
            client, _ = listener.accept()
            number += 1
            chance = random.Random(self.seed * 100_003 + number)
            threading.Thread(target=self._carry, args=(client, chance), daemon=True).start()

    def close(self) -> None:
        """Cut what is open."""
        self._closing.set()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _carry(self, client: socket.socket, chance: random.Random) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        self._open.update(pair)
        try:
            for one in pair:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):
                while self._pass_on(pair, chance):
                    pass
        finally:
            self._open.difference_update(pair)
            for one in pair:
                one.close()

    def _pass_on(self, pair: tuple[socket.socket, socket.socket], chance: random.Random) -> bool:
        """Pass on what has come; False at the end."""
        for one in select.select(pair, [], [], 0.5)[0]:
            data = one.recv(PIECE_BYTES)
            if not data:
                return False
            fault = "" if self.calm.is_set() else self._fault(chance)
            if fault:
                self.did[fault] += 1
            other = pair[one is pair[0]]
            match fault:
                case "delay":
                    time.sleep(self.weather.delay_s * chance.random())
                case "stall":
                    time.sleep(self.weather.stall_s)
                case "drop":
                    time.sleep(self.weather.stall_s)
                    return False
                case "cut":  # in the middle of a message, as it comes
                    other.sendall(data[: chance.randrange(len(data) + 1)])
                    return False
                case "reset":
                    for end in pair:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    return False
            other.sendall(data)
        return not self._closing.is_set()

    def _fault(self, chance: random.Random) -> str:
        drawn = chance.random()
        for name in ("delay", "stall", "drop", "cut", "reset"):
            drawn -= getattr(self.weather, name)
            if drawn < 0:
                return name
        return ""


@contextmanager
def bad_network(target: int, seed: int, weather: Weather | None = None) -> Iterator[BadNetwork]:
    """Run a network before a port of loopback until the context is left."""
    network = BadNetwork(target, weather or Weather(), seed)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        network.port = listener.getsockname()[1]
        thread = threading.Thread(target=network.serve, args=(listener,))
        thread.start()
        try:
            yield network
        finally:
            network.close()
            thread.join()
