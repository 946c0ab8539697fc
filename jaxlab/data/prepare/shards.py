"""ArrayRecord shards of one split, made by many threads and written in order."""

import math
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any

import grain

from jaxlab.core.types import UserError
from jaxlab.data.images import shown

_SHARD_BYTES = 256e6


def write_shards(
    template: Any, count: int, encode: Callable[[int], bytes | str]
) -> tuple[list[int], int, list[str]]:
    """Write encode(0) to encode(count - 1). Returns the number of records in each shard, their bytes together, and
    the problems that `encode` gave instead of records: after the first one nothing is written.

    template: tensorflow_datasets' names of the shards. Raises UserError where the disk is too small.
    """
    writer, problems = None, []  # type: Any, list[str]
    for record in shown(_in_order(encode, count), count, f"preparing {template.split}"):
        if isinstance(record, str):
            problems.append(record)
        elif not problems:
            writer = writer or _Shards(template, count, len(record))
            writer.write(record)
    if writer is not None:
        writer.close()
    return (writer.lengths, writer.size, problems) if writer is not None else ([], 0, problems)


def _in_order(encode: Callable[[int], bytes | str], count: int) -> Iterable[bytes | str]:
    """encode(0), encode(1), ...: made by a thread a core, a bounded number of them ahead."""
    threads = os.cpu_count() or 1
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * threads)
    return grain.MapDataset.range(count).map(encode).to_iter_dataset(options)


class _Shards:
    """The shards of one split, of about equally many records, written one after the other.

    lengths: records in each. size: bytes written.
    """

    def __init__(self, template: Any, count: int, record_bytes: int):
        """record_bytes: of the first record; the others are taken to be like it."""
        shards = min(max(1, math.ceil(count * record_bytes / _SHARD_BYTES)), count)
        ends = [count * (shard + 1) // shards for shard in range(shards)]
        self.lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        self.size = 0
        self._paths = [
            template.sharded_filepath(shard_index=shard, num_shards=shards) for shard in range(shards)
        ]
        free = shutil.disk_usage(template.data_dir).free
        if count * record_bytes > free:
            raise UserError(
                f"{template.data_dir}: {template.split} needs about {count * record_bytes / 1e9:.1f} GB, "
                f"and {free / 1e9:.1f} GB are free; make images.size smaller, or write to another disk"
            )
        self._shard, self._left, self._writer = -1, 0, None  # type: int, int, Any

    def write(self, record: bytes) -> None:
        if self._left == 0:
            self._next()
        self._writer.write(record)
        self._left -= 1
        self.size += len(record)

    def _next(self) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        self.close()
        self._shard += 1
        self._left = self.lengths[self._shard]
        # PNG is compressed already, and responses hardly can be; each record can be read by itself.
        self._writer = ArrayRecordWriter(str(self._paths[self._shard]), "group_size:1,uncompressed")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
