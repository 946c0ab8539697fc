"""Reading the records of a CSV as text, packed or not, some at a time.

Records of another width than the header's are noted, never joined up.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, TextIO

from submit.errors import SubmissionError, about, named
from submit.files.encodings import of_nul, of_undecoded
from submit.files.zips import names_in, refuse_bomb

_BLOCK = 50_000  # cells handed out at a time
_SHOWN = 5  # rows named in one sentence
_LONGEST = 500  # characters of an id: numpy gives every id of a table the room of the longest

_UNPACKED = "Where it is yours, unpack it first."


@dataclass
class Ragged:
    """Rows with another number of cells than the header: the first few are kept to be named, all are counted."""

    width: int
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, number: int, name: str, cells: int) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            self.first.append(f"row {number} ({name!r}) has {cells}")

    def sentence(self) -> str | None:
        """None when there is no such row."""
        if not self.count:
            return None
        more = f"; and {self.count - _SHOWN:,} more" if self.count > _SHOWN else ""
        return (
            f"{self.count:,} rows have not as many cells as the header, {self.width}: "
            + "; ".join(self.first)
            + more
        )


def is_csv(path: str | Path) -> bool:
    """Whether its name is that of a CSV, or of one that is packed as Kaggle takes it: .csv.gz, or alone in a .zip."""
    return Path(path).name.lower().endswith((".csv", ".csv.gz", ".zip"))


@contextmanager
def open_csv(path: str | Path) -> Iterator[TextIO]:
    """The text of a CSV, packed or not. What goes wrong in the block is a SubmissionError that names the file."""
    with about(path):
        try:
            with _unpacked(Path(path)) as binary, io.TextIOWrapper(binary, "utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise SubmissionError(f"expected a CSV in UTF-8; {of_undecoded(error)}.") from error
        except csv.Error as error:
            raise SubmissionError(f"expected a CSV; is a quotation mark not closed? ({error})") from error
        except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError) as error:
            raise SubmissionError(
                f"the file is truncated, damaged or cannot be unpacked ({error})."
            ) from error
        except OSError as error:
            raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as packed, io.BufferedReader(_Bounded(packed, path)) as file:
            yield file
    elif path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            inside = names_in(archive)
            if len(inside) != 1:
                raise SubmissionError(
                    f"expected a zip of one CSV, found {named(inside, len(inside)) or 'nothing'}."
                )
            refuse_bomb(path, archive.getinfo(inside[0]).file_size, f" {_UNPACKED}")
            try:
                inner = archive.open(inside[0])
            except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in an unknown way
                raise SubmissionError(f"the file cannot be unpacked ({error}).") from error
            with inner:
                yield inner
    else:
        with path.open("rb") as file:
            yield file


class _Bounded(io.RawIOBase):
    """What a gzip holds, whose size is known only when it was read: refused as soon as it is that of a bomb."""

    def __init__(self, file: gzip.GzipFile, path: Path):
        self._file, self._path, self._read = file, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)
        self._read += count
        refuse_bomb(self._path, self._read, f" That is how far it was read. {_UNPACKED}")
        return count


def header_of(file: TextIO, id_column: str | None = None) -> list[str]:
    """The first line's cells; raises where they are fewer than two, or separated by something else than commas.

    id_column: a name that one of them should have.
    """
    lines: list[str] = []
    header = next(
        (row for row in csv.reader(_noted(file, lines)) if len(row) > 1 or "".join(row).strip()), []
    )
    if fault := of_nul(",".join(header)):
        raise SubmissionError(f"expected a CSV in UTF-8; {fault}.")
    if header and header[0].lower().startswith("sep="):
        raise SubmissionError(f"its first line is {lines[0].strip()!r}, which is for Excel alone; remove it.")
    if len(header) < 2 or (id_column is not None and id_column not in header):
        for separator in ";\t|":
            other = next(csv.reader(lines, delimiter=separator), [])
            if len(other) > 1 and (id_column is None or id_column in other):
                raise SubmissionError(f"its cells are separated by {separator!r}, expected ','.")
    if len(header) < 2:
        found = f"found only {header[0]!r}" if header else "the file is empty"
        raise SubmissionError(f"expected a header with an id column and at least one target, {found}.")
    return header


def _noted(file: TextIO, lines: list[str]) -> Iterator[str]:
    for line in file:
        if lines or line.strip():  # later a blank one may be within quotation marks
            lines.append(line)
        yield line


def record_blocks(
    file: TextIO, width: int, key: int | None, ragged: Ragged
) -> Iterator[tuple[list[str], str]]:
    """(ids, their other cells one a line) of some rows at a time, so many that they have some 50,000 cells.

    key: the place of the column that holds ids; None numbers the rows. Rows of another width go to `ragged`, and
    have a one and zeros for cells, which no check of numbers or probabilities minds. Raises SubmissionError for ids
    that are none: with a NUL, as where a disk filled up, or of hundreds of characters, as between stray quotes.
    """
    others = width - (key is not None)
    records = _records(file, width, key, ragged)
    while block := list(islice(records, max(1, _BLOCK // others))):
        yield [name for name, _ in block], "\n".join(text for _, text in block)


def _records(file: TextIO, width: int, key: int | None, ragged: Ragged) -> Iterator[tuple[str, str]]:
    stand_in = "\n".join(["1"] + ["0"] * (width - (key is not None) - 1))
    for number, line in enumerate(file, start=2):
        if line.isspace():
            continue
        if '"' in line or key != 0:
            row = next(csv.reader(chain([line], file)), [])  # a quoted cell may go on over several lines
            cells = [cell.replace("\n", " ").replace("\r", " ") for i, cell in enumerate(row) if i != key]
            text, found = "\n".join(cells), len(row)
            name = f"#{number}" if key is None else row[key] if key < len(row) else ""
        else:
            line = line.rstrip("\r\n")
            name, _, rest = line.partition(",")
            text, found = rest.replace(",", "\n"), line.count(",") + 1
        if "\0" in name:
            raise SubmissionError(f"row {number} has an id with a NUL, {name[:40]!r}; is the file damaged?")
        if len(name) > _LONGEST:
            raise SubmissionError(
                f"row {number} has an id of {len(name):,} characters, {name[:40]!r}...; is a quotation mark amiss?"
            )
        if found != width:
            ragged.add(number, name, found)
            text = stand_in
        yield name, text
