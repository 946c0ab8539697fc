"""The images of a request, read as a stream: too much is refused as it comes, and is never held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from jaxlab.serving.limits import MEGA, Held, Limits, Refused

_DRAINED = 10  # times the limit, of a request that is too large, which are received for the answer to be read
_DRAINING = 15.0  # seconds


class Upload(NamedTuple):
    """A file of a request: what it is called, and what it holds."""

    name: str
    content: bytes
    question: str | None = None


class Sent(NamedTuple):
    """What a request holds. questions: none of a run that sees images alone."""

    files: list[Upload]
    questions: list[str]

    def pairs(self, asks: bool) -> list[Upload]:
        """Each image with its question: of as many one each, in order; else the one image, or question, with all.

        asks: whether the run answers questions. Raises Refused where they do not go together.
        """
        files, questions = self
        if not asks:
            if questions:
                raise Refused(400, "this run takes no questions: it sees images alone")
            return files
        if empty := [question for question in questions if not question.strip()]:
            raise Refused(400, f"{len(empty)} of {len(questions)} questions are empty")
        if not questions:
            raise Refused(400, "no question: send one with each image, in fields of the form called question")
        most = max(len(files), len(questions))
        if not {len(files), len(questions)} <= {1, most}:
            raise Refused(
                400,
                f"expected as many questions as images, {len(files)}, or one of either; found {len(questions)}",
            )
        asked = questions * most if len(questions) == 1 else questions
        shown = files * most if len(files) == 1 else files
        return [file._replace(question=text) for file, text in zip(shown, asked, strict=True)]


@asynccontextmanager
async def uploads(request: Request, limits: Limits, received: Held) -> AsyncIterator[Sent]:
    """The images of a request, its body or the files of a form, and the questions about them.

    `received` has room for it until that is left.

    Raises Refused for a request that is too large, slow, of another type or without an image.
    """
    declared, body = _length(request), _Body(request, limits.request)
    if declared is not None and declared > limits.request:
        raise await body.too_large(declared)
    counted = declared if declared is not None else limits.request
    received.take(counted)
    try:
        try:
            async with asyncio.timeout(limits.patience):
                found = await _read(Request(request.scope, body.receive), limits)
        except TimeoutError:
            raise Refused(408, f"the request was not there after {limits.patience:g} seconds") from None
        except _TooLarge:
            raise await body.too_large(None) from None
        if not found.files:
            raise Refused(
                400, "no image: send files in a form (multipart/form-data), or one image as the body"
            )
        yield found
    finally:
        received.give(counted)


class _TooLarge(Exception):
    """More bytes have come than a request may have."""


class _Body:
    """The messages of a request's body, which end in `_TooLarge` after `most` bytes."""

    def __init__(self, request: Request, most: int):
        self._receive, self._most = request.receive, most
        self._count, self._over = 0, False

    async def receive(self) -> Message:
        message = await self._next()
        if self._count > self._most:
            raise _TooLarge
        return message

    async def too_large(self, declared: int | None) -> Refused:
        """What to raise. What is on its way is received first and dropped: a client that still sends hears nothing."""
        most = _DRAINED * self._most
        try:
            async with asyncio.timeout(_DRAINING):
                while not self._over and max(self._count, declared or 0) <= most:
                    await self._next()
        except TimeoutError:
            pass
        found = "more" if declared is None else f"{declared / MEGA:,.1f} MB"
        return Refused(413, f"too large: expected at most {self._most / MEGA:g} MB a request, found {found}")

    async def _next(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        return message


async def _read(request: Request, limits: Limits) -> Sent:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _files(request, limits)
    if kind.startswith("image/") or kind == "application/octet-stream":
        content = b"".join([chunk async for chunk in request.stream()])
        named = Upload(_plain(request.query_params.get("name", "image")), content)
        return Sent([named] if content else [], request.query_params.getlist("question"))
    raise Refused(
        415,
        f"content type {kind[:60] or 'none'}: expected multipart/form-data, image/... or application/octet-stream",
    )


async def _files(request: Request, limits: Limits) -> Sent:
    try:
        async with request.form(max_files=limits.images, max_fields=limits.images) as form:
            items = form.multi_items()
            files = [value for _, value in items if isinstance(value, UploadFile)]
            sent = [
                Upload(_plain(file.filename or "image"), await file.read()) for file in files if file.filename
            ]
            return Sent(
                sent, [value for name, value in items if name == "question" and isinstance(value, str)]
            )
    except HTTPException as error:  # what is no form, and more files than that
        raise Refused(400, f"{error.detail} (at most {limits.images} images a request)") from None
    except OSError as error:  # large files are laid on disk while a form is read
        raise Refused(503, f"no room for what was sent ({error.strerror})", retry=30) from error


def _plain(name: str) -> str:
    """The last part of a name, as browsers have it, without what could not be shown."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:200] or "image"


def _length(request: Request) -> int | None:
    try:
        return max(0, int(request.headers["content-length"]))
    except (KeyError, ValueError):
        return None
