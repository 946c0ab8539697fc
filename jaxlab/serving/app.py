"""The application: what is asked for at which address.

POST /predict   images, in a form or as the body, of some runs with questions -> what is predicted of each, as JSON
GET  /          a page to drop an image on
GET  /about     what predicts; GET /health whether it does
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from jaxlab.core.types import UserError
from jaxlab.data.readers.decoding import pixels_of
from jaxlab.data.source import examples
from jaxlab.runs.ready import Ready
from jaxlab.serving.answers import Answers
from jaxlab.serving.batching import Batcher
from jaxlab.serving.limits import MEGA, Held, Limits, Refused
from jaxlab.serving.uploads import Upload, uploads

_LOG = logging.getLogger("jaxlab.serving")
_TOP = 5  # classes that are named unless others are asked for
_DIGITS = 9  # of a number of classes: Python reads no number of thousands
_GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; img-src 'self' blob: data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


class Service:
    """A run that is ready, behind limits. Images are decoded by several threads and predicted by one."""

    def __init__(self, ready: Ready, answers: Answers, limits: Limits):
        self.limits, self.answers, self._ready = limits, answers, ready
        self.received = Held(limits.received, "bytes")
        self.waiting = Held(limits.waiting, "images")
        self.served = 0
        self._decoding = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode")
        self._predicting = ThreadPoolExecutor(1, "predict")
        self._batcher = Batcher(ready.predict, self._predicting, limits.batch, limits.wait)

    @contextlib.asynccontextmanager
    async def running(self, app: Any = None) -> AsyncIterator[None]:
        """While it lasts, images are predicted."""
        task = asyncio.create_task(self._batcher.run())
        try:
            yield
        finally:
            task.cancel()
            self._decoding.shutdown(wait=False, cancel_futures=True)
            self._predicting.shutdown(wait=False, cancel_futures=True)

    async def predict(self, files: Sequence[Upload], top: int) -> list[dict[str, Any]]:
        """Of each file {"file": its name} with what is predicted, or with an "error".

        Raises Refused where others' images leave no room.
        """
        if len(files) > self.limits.images:
            raise Refused(413, f"expected at most {self.limits.images} images a request, found {len(files)}")
        self.waiting.take(len(files))
        try:
            return list(await asyncio.gather(*(self._one(file, top) for file in files)))
        finally:
            self.waiting.give(len(files))

    async def _one(self, file: Upload, top: int) -> dict[str, Any]:
        try:
            loop = asyncio.get_running_loop()
            image = await loop.run_in_executor(self._decoding, self._taken, file)
            values = await self._batcher.predicted(image)
        except UserError as error:
            return {**_named(file), "error": str(error)}
        self.served += 1
        return {**_named(file), **self.answers.of(values, top)}

    def _taken(self, file: Upload) -> Any:
        """Its header is looked at first: a small file may hold more pixels than memory."""
        count = pixels_of(file.content, file.name)
        if count > self.limits.pixels:
            most = f"{self.limits.pixels / MEGA:g} million pixels"
            raise UserError(f"{file.name}: expected at most {most}, found {count / MEGA:,.1f} million")
        if file.question is not None:
            return self._ready.taken(file.content, file.name, file.question)
        return self._ready.taken(file.content, file.name)


def _named(file: Upload) -> dict[str, Any]:
    return {"file": file.name, **({} if file.question is None else {"question": file.question})}


def application(service: Service) -> Starlette:
    """The service as a Starlette application."""
    page = (resources.files("jaxlab.serving") / "page.html").read_text(encoding="utf-8")

    async def index(request: Request) -> Response:
        return HTMLResponse(page)

    async def health(request: Request) -> Response:
        return _json({"status": "ok", "waiting": service.waiting.count, "served": service.served})

    async def about(request: Request) -> Response:
        limits = {"megabytes": service.limits.request / MEGA, "images": service.limits.images}
        return _json({**service.answers.about, "limits": limits})

    async def predict(request: Request) -> Response:
        top = _top(request)
        async with uploads(request, service.limits, service.received) as sent:
            found = await service.predict(sent.pairs(service.answers.asks), top)
        broken = [one["file"] for one in found if "error" in one]
        told = {"error": f"{len(broken)} of {len(found)} images: {examples(broken)}"} if broken else {}
        # thousands of targets are a megabyte of text
        return await asyncio.to_thread(_json, {**told, "images": found}, 422 if broken else 200)

    routes = [
        Route("/", index),
        Route("/health", health),
        Route("/about", about),
        Route("/predict", _told(predict), methods=["POST"]),
    ]
    handlers: Any = {HTTPException: _http_error}
    app = Starlette(routes=routes, lifespan=service.running, exception_handlers=handlers)
    app.add_middleware(_Guards)
    return app


def _told(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, whose errors are JSON: what was refused says why, and what is our fault stays in the log."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as error:
            more = {"retry-after": str(error.retry)} if error.retry is not None else {}
            if error.status in (408, 413):
                more["connection"] = "close"
            return _json({"error": str(error)}, error.status, more)
        except HTTPException:
            raise
        except ClientDisconnect:
            return _json({"error": "the request was not sent to its end"}, 400)
        except Exception:
            _LOG.exception("a request failed")
            return _json({"error": "the server failed; its log says why"}, 500)

    return answered


def _top(request: Request) -> int:
    asked = request.query_params.get("top", str(_TOP))
    if not asked.isdecimal() or len(asked) > _DIGITS or int(asked) < 1:
        raise HTTPException(400, f"top: expected a number of classes, found {asked[:20]!r}")
    return int(asked)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = "POST /predict, GET /, /about and /health"
    what = error.detail if error.status_code not in (404, 405) else f"{error.detail}; there are {known}"
    return _json({"error": what}, error.status_code, dict(error.headers or {}))


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, allow_nan=False, ensure_ascii=False)
    return Response(text.encode("utf-8", "replace"), status, headers, "application/json")


class _Guards:
    """Headers that keep a browser from taking an answer for anything else."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in _GUARDS.items()),
                ]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
