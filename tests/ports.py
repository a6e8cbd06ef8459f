"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket

# Below those that Linux (from 32768) and macOS (from 49152) give to connections by themselves: a browser's connection
# would else take the port between its choice and the server's start.
_PORTS = range(20_000, 32_000)
# Not the generator that a test may have seeded: files that run side by side would then choose the same port.
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    for port in _chance.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("a hundred ports in use")
