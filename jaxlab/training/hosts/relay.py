"""A door in this process through which it talks to the coordinator, the service that process 0 runs.

JAX ends a process by abort() at the moment in which that connection breaks, with a trace of C++ and nothing said to
Python. Through a door of our own we see it first, and keep JAX's end open until this process has ended in its own way.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

_CHUNK = 1 << 16
_PATIENCE = 10.0  # seconds to be let in


class Relay:
    """Listens on this machine alone. lost: is called, by another thread, where the coordinator's end breaks."""

    def __init__(self, coordinator: str, lost: Callable[[], None] = lambda: None):
        host, _, port = coordinator.rpartition(":")
        self._coordinator = (host.strip("[]"), int(port))
        self.lost = lost
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._listen)

    def close(self) -> None:
        """What breaks from now on is meant to."""
        self._over = True
        self._listener.close()

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, name="coordinator", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return
            try:
                outside = socket.create_connection(self._coordinator, timeout=_PATIENCE)
            except OSError:  # it is not there yet: JAX tries again
                inside.close()
                continue
            outside.settimeout(None)
            for one in (inside, outside):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ours = threading.Event()  # this process has hung up first
            self._start(self._send, inside, outside, ours)
            self._start(self._receive, inside, outside, ours)

    def _send(self, inside: socket.socket, outside: socket.socket, ours: threading.Event) -> None:
        _copy(inside, outside)
        ours.set()
        with contextlib.suppress(OSError):
            outside.shutdown(socket.SHUT_RDWR)

    def _receive(self, inside: socket.socket, outside: socket.socket, ours: threading.Event) -> None:
        _copy(outside, inside)
        if ours.is_set() or self._over:
            inside.close()
        else:  # JAX's end stays open
            self.lost()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
