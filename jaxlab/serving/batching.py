"""Images of many requests, predicted together: a batch is what has come while the last one was predicted."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from jaxlab.core.types import UserError

Predict = Callable[[Sequence[Any]], np.ndarray]


class _Waiting(NamedTuple):
    image: Any
    answer: "asyncio.Future[np.ndarray]"


class Batcher:
    """One batch is predicted at a time, in `pool`. size: of a batch. wait: seconds that its first image waits for more.

    Nothing bounds how many wait: whoever asks has counted them.
    """

    def __init__(self, predict: Predict, pool: Executor, size: int, wait: float):
        self._predict, self._pool, self._size, self._wait = predict, pool, size, wait
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()

    async def predicted(self, image: Any) -> np.ndarray:
        """(t,) of one image. Raises what predicting raised."""
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(image, answer))
        return await answer

    async def run(self) -> None:
        """Predicts, until it is cancelled."""
        while True:
            batch = await self._gathered()
            if wanted := [one for one in batch if not one.answer.done()]:  # others have gone
                await self._answer(wanted)

    async def _gathered(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        until = asyncio.get_running_loop().time() + self._wait
        while len(batch) < self._size:
            if self._queue.empty():
                try:
                    async with asyncio.timeout_at(until):
                        batch.append(await self._queue.get())
                except TimeoutError:
                    break
            else:
                batch.append(self._queue.get_nowait())
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Each its row. Where some image is refused, each is predicted alone, so that it is the only one."""
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._pool, self._predict, [one.image for one in batch])
        except Exception as error:  # whoever waits is told
            if isinstance(error, UserError) and len(batch) > 1:
                for one in batch:
                    await self._answer([one])
                return
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for one, row in zip(batch, rows, strict=True):
            if not one.answer.done():
                one.answer.set_result(row)
