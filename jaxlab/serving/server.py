"""One process that serves a run: its socket, its log, its end."""

import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.runs.ready import Ready
from jaxlab.runs.run import Run, Which
from jaxlab.serving.answers import Answers
from jaxlab.serving.app import Service, application
from jaxlab.serving.limits import Limits

_DRAINS = 30  # seconds, for requests that are in hand when the server is told to end
_OPEN = 2000  # connections, of which more are told at once to come again
_LOCAL = ("127.0.0.1", "localhost", "::1")


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address, not listening yet. Raises UserError where it cannot be had. port: 0 for a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(
                f"{host}:{port} cannot be served at ({why}); give another --port, 0 for a free one, or --host"
            ) from error
        yield found


def serve(
    run: Run,
    which: Which | None,
    limits: Limits,
    at: socket.socket,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM), then answer what is in hand.

    Raises UserError, before anything is answered, for a run that cannot predict images one by one.
    """
    ready = run.ready(which, limits.batch)
    warm(ready, limits.batch)
    app = application(Service(ready, Answers(run, which), limits))
    host, port = at.getsockname()[:2]
    if host not in _LOCAL:
        log(f"warning: whoever reaches {host} may ask; there is no password and no encryption")
    shown = f"[{host}]" if ":" in host else host
    settings: dict[str, Any] = {"timeout_graceful_shutdown": _DRAINS, "limit_concurrency": _OPEN}
    config = uvicorn.Config(app, log_level="warning", server_header=False, lifespan="on", **settings)
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, lambda: log(f"{run.rundir.path}: http://{shown}:{port}")).run(sockets=[at])


class _Server(uvicorn.Server):
    """Says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, reached: Callable[[], None]):
        super().__init__(config)
        self._reached = reached

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._reached()


def warm(ready: Ready, batch: int) -> None:
    """Predict a grey image, alone and in a full batch, so that all is compiled before somebody waits for it."""
    file = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(file, "PNG")
    question = ["What is this?"] if ready.asks else []
    image = ready.taken(file.getvalue(), "a grey image", *question)
    for count in (1, batch):
        ready.predict([image] * count)
