"""What a submission format is: the suffixes that it has, how it is recognised, written and checked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from submit.errors import SubmissionError
from submit.files.csv_records import is_csv
from submit.files.csv_table import read_header
from submit.files.zips import names_in, open_zip

Against = pd.DataFrame | str | Path | None


@dataclass(frozen=True)
class SubmissionFile:
    """A file or folder whose format is to be found out, and what it is to be held against."""

    path: Path
    against: Against = None

    @property
    def suffix(self) -> str:
        """In lower case; of what is in a zip, `inside` tells."""
        return self.path.suffix.lower()

    @cached_property
    def inside(self) -> frozenset[str]:
        """Suffixes of the files in a zip; none where it is none, or is damaged, which its check says."""
        if self.suffix != ".zip":
            return frozenset()
        try:
            with open_zip(self.path) as archive:
                return frozenset(Path(name).suffix.lower() for name in names_in(archive))
        except SubmissionError:
            return frozenset()

    @cached_property
    def header(self) -> list[str]:
        """Column names of a .csv; none where it has none that can be read."""
        try:
            return read_header(self.path) if self.suffix == ".csv" else []
        except SubmissionError:
            return []

    @property
    def is_csv(self) -> bool:
        """Also a packed one; of a zip that is damaged or absent, what it is held against says so."""
        if self.suffix != ".zip":
            return is_csv(self.path)
        sample = self.against
        return self.inside == {".csv"} or (
            not self.inside and isinstance(sample, str | Path) and is_csv(sample)
        )


@dataclass(frozen=True)
class Format:
    """A challenge's form of submission.

    name: of --format. writes, reads: suffixes of what is written and of what can be checked, "" for a folder.
    recognise: whether a file is of this format. write: predictions, where to and what against -> the files written;
    predictions are one file, or where `by_subject` the files of each subject or a folder of them. check: a submission
    and what against -> faults. against: what that is. unchecked: a warning where there is nothing to hold it against.
    title: what `check` takes, for its help. usage: what is written and from what, in lines of at most 64 characters.
    """

    name: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    recognise: Callable[[SubmissionFile], bool]
    write: Callable[[Any, Path, Path | None], list[Path]]
    check: Callable[[Any, Any], list[str]]
    against: str
    title: str
    usage: tuple[str, ...]
    by_subject: bool = False
    unchecked: str = ""
