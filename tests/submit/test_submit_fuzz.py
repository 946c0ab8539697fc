"""The checker against made-up submissions: valid ones are never refused, every corruption is found and named."""

import csv
import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from submit import Predictions, check, write

EXAMPLES = 150 if os.environ.get("JAXLAB_TEST_ALL") == "1" else 50
QUICK = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ALPHABET = st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")
SOME = [
    "0001",
    "1",
    "NA",
    "nan",
    "a,b",
    'say "x"',
    "ü",
    "1e5",
    " padded ",
    "x\ny",
    "#",
    "id;2",
    "true",
    "a\tb",
]
TEXT = st.one_of(st.sampled_from(SOME), st.text(ALPHABET, max_size=8))
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["-0", "1e300", "-1E-300", " 3 ", "+.5", "5.", "007"]),
)
CLASSES = ["cat", "Ox,2", "ü", "7", "none", "true", "inf"]
NOT_NUMBERS = ["abc", "", " ", "1,5", "1.2.3", "True", "--", "1_000", "NA", "0x"]


@dataclass
class Grid:
    """A submission as text: the id column comes first. sample: the same of the sample submission."""

    form: str
    header: list[str]
    rows: list[list[str]]
    sample: list[list[str]]
    faults: list[str] = field(default_factory=list)  # what must be in the text of the faults
    free_rows: list[int] = field(default_factory=list)  # not yet corrupted, as columns
    free_columns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free_columns = self.header[1:]
        self.names = [name.strip().lower() for name in self.header]

    def new_name(self, draw: Callable) -> str:
        """Of a column that neither the sample nor the submission has."""
        name = draw(TEXT)
        assume(name not in self.header and name.strip().lower() not in self.names)
        return name


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    form = draw(st.sampled_from(["wide", "long", "names", "probabilities"]))
    n = draw(st.integers(5, 8))
    t = {"long": 1, "names": 1, "wide": draw(st.integers(2, 5)), "probabilities": draw(st.integers(3, 5))}[
        form
    ]
    ids = draw(st.lists(TEXT, min_size=n, max_size=n, unique=True))
    if form == "long":
        ids = [f"{name}_{k}" for k, name in enumerate(ids)]
    names = draw(st.lists(TEXT.filter(str.strip), min_size=t + 1, max_size=t + 1, unique=True))
    if form == "names":
        cells = [[draw(st.sampled_from(CLASSES))] for _ in ids]
        blank = ["cat"]
    elif form == "probabilities":
        weights = [draw(st.lists(st.integers(1, 9), min_size=t, max_size=t)) for _ in ids]
        cells = [[repr(value / sum(row)) for value in row] for row in weights]
        blank = [f"{1 / t:.4f}"] * t
    else:
        cells = [draw(st.lists(NUMBERS, min_size=t, max_size=t)) for _ in ids]
        blank = [draw(st.sampled_from(["0.0", "-1.5", "0.5", "1e-3"]))] * t
    rows = [[name, *row] for name, row in zip(ids, cells, strict=True)]
    sample = [[name, *blank] for name in ids]
    order = draw(st.permutations(range(n)))
    return Grid(form, names, rows, sample, free_rows=list(order))


def text_of(header: list[str], rows: list[list[str]], end: str = "\n", **dialect) -> str:
    """As CSV; every cell in quotes where one of them has a line break."""
    lines = [header, *rows]
    broken = any(mark in cell for line in lines for cell in line for mark in "\r\n")
    quoting = csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    file = io.StringIO()
    csv.writer(file, **{"lineterminator": end, "quoting": quoting, **dialect}).writerows(lines)
    return file.getvalue()


# -- what is valid ---------------------------------------------------------------------------------------------


@QUICK
@given(grid=grids(), data=st.data())
def test_valid_submissions_are_never_refused(grid: Grid, data: st.DataObject, tmp_path: Path) -> None:
    event(grid.form)
    sample_header, header = list(grid.header), grid.header
    rows = data.draw(st.permutations(grid.rows))
    order = data.draw(st.permutations(range(len(header))))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    quoting = data.draw(st.sampled_from([csv.QUOTE_ALL, None]))
    moved = [[row[k] for k in order] for row in [header, *rows]]
    text = text_of(moved[0], moved[1:], end, **({} if quoting is None else {"quoting": quoting}))
    before = data.draw(st.sampled_from(["", "\ufeff"]))
    after = data.draw(st.sampled_from(["", end, end * 2, f"{end} \t{end}"]))
    content = (before + text.removesuffix(end) + after).encode()
    (tmp_path / "x.csv").write_bytes(content)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(content))
    (tmp_path / "sample.csv").write_bytes(text_of(sample_header, grid.sample).encode())
    for name in ("x.csv", "x.csv.gz"):
        assert check(tmp_path / name, tmp_path / "sample.csv") == []
    frame = pd.DataFrame(moved[1:], columns=moved[0])
    assert check(frame, tmp_path / "sample.csv") == []
    assert check(frame, pd.DataFrame(grid.sample, columns=sample_header)) == []


@QUICK
@given(
    ids=st.lists(TEXT, min_size=1, max_size=5, unique=True),
    targets=st.lists(TEXT.filter(str.strip), min_size=1, max_size=4, unique=True),
    long=st.booleans(),
    data=st.data(),
)
def test_what_is_written_passes_and_reads_back(ids, targets, long, data, tmp_path):
    """Wide, or long with a separator that no name holds; rows and columns of the sample in any order."""
    floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
    flat = data.draw(st.lists(floats, min_size=len(ids) * len(targets), max_size=len(ids) * len(targets)))
    values = np.float32(flat).reshape(len(ids), len(targets))
    given_ = Predictions(np.array(ids, np.str_), values, np.array(targets, np.str_))
    cells = {(i, t): values[r, c] for r, i in enumerate(ids) for c, t in enumerate(targets)}
    rows, columns = data.draw(st.permutations(ids)), data.draw(st.permutations(targets))
    if long:
        assume("value" not in targets)
        expected = [["row", "value"], *([f"{i}\u241f{t}", cells[i, t]] for t in columns for i in rows)]
    else:
        assume("row" not in targets)
        expected = [["row", *columns], *([i, *(cells[i, t] for t in columns)] for i in rows)]
    blank = [[line[0], *["0.0"] * (len(line) - 1)] for line in expected[1:]]
    (tmp_path / "sample.csv").write_bytes(text_of(expected[0], blank).encode())
    written = write(given_, tmp_path / "out.csv", tmp_path / "sample.csv")
    assert check(written, tmp_path / "sample.csv") == []
    found = list(csv.reader(io.StringIO(written.read_bytes().decode(), newline="")))
    assert [found[0], *([name, *map(np.float32, row)] for name, *row in found[1:])] == expected


# -- corruptions of rows, columns and cells, several at once -----------------------------------------------------


def drop_row(grid: Grid, draw: Callable) -> None:
    row = grid.free_rows.pop()
    grid.faults += ["ids missing from the submission: ", repr(grid.sample[row][0])]
    grid.rows[row] = []


def repeat_row(grid: Grid, draw: Callable) -> None:
    row = grid.free_rows.pop()
    grid.faults += ["rows repeat an id: ", repr(grid.sample[row][0])]
    grid.rows.append(list(grid.rows[row]))


def rename_row(grid: Grid, draw: Callable) -> None:
    row = grid.free_rows.pop()
    grid.rows[row][0] += "~"
    assume(grid.rows[row][0] not in [line[0] for line in grid.sample])
    grid.faults += [repr(grid.sample[row][0]), repr(grid.rows[row][0])]


def add_row(grid: Grid, draw: Callable) -> None:
    new = draw(TEXT)
    assume(new not in [line[0] for line in [*grid.sample, *filter(None, grid.rows)]])
    grid.faults += ["in the submission that are not expected: ", repr(new)]
    grid.rows.append([new, *grid.rows[grid.free_rows[-1]][1:]])


def spoil_cell(grid: Grid, draw: Callable) -> None:
    names = grid.form == "names"
    text = draw(
        st.sampled_from(["", " ", "NaN"] if names else [*NOT_NUMBERS, "nan", "-NaN", "inf", "-Infinity"])
    )
    assume(grid.free_columns)
    row, column = grid.free_rows.pop(), draw(st.sampled_from(grid.free_columns))
    place = grid.header.index(column)
    grid.rows[row][place] = text
    grid.faults.append(f"row {grid.sample[row][0]!r}, column {column!r}")


def lengthen_row(grid: Grid, draw: Callable) -> None:
    row = grid.free_rows.pop()
    grid.rows[row].append("1")
    grid.faults += [
        "not as many cells as the header",
        f"({grid.sample[row][0]!r}) has {len(grid.header) + 1}",
    ]


def shorten_row(grid: Grid, draw: Callable) -> None:
    row = grid.free_rows.pop()
    grid.rows[row].pop()
    grid.faults += [
        "not as many cells as the header",
        f"({grid.sample[row][0]!r}) has {len(grid.header) - 1}",
    ]


def unbalance_row(grid: Grid, draw: Callable) -> None:
    if grid.form != "probabilities":
        return spoil_cell(grid, draw)
    row = grid.free_rows.pop()
    grid.rows[row][1:] = ["0.9"] * (len(grid.header) - 1)
    grid.faults += ["Target values in submission do not add to one", repr(grid.sample[row][0])]
    return None


def drop_column(grid: Grid, draw: Callable) -> None:
    column = grid.free_columns.pop()
    place = grid.header.index(column)
    for line in [grid.header, *filter(None, grid.rows)]:
        del line[place]
    grid.faults.append(f"Required column {column!r} could not be found")


def rename_column(grid: Grid, draw: Callable) -> None:
    column = grid.free_columns.pop()
    new = grid.new_name(draw)
    grid.header[grid.header.index(column)] = new
    grid.faults += [f"Required column {column!r} could not be found", f"Unexpected Column: {new!r} (Line 1, "]


def name_twice(grid: Grid, draw: Callable) -> None:
    assume(len(grid.free_columns) > 2)
    column, other = grid.free_columns.pop(), grid.free_columns.pop(0)
    grid.header[grid.header.index(column)] = other
    grid.faults += [f"Required column {column!r} could not be found", "occur more than once: ", repr(other)]


def repeat_column(grid: Grid, draw: Callable) -> None:
    column = grid.free_columns.pop()
    place = grid.header.index(column)
    for line in [grid.header, *filter(None, grid.rows)]:
        line.append(line[place])
    grid.faults += ["occur more than once: ", repr(column)]


def add_column(grid: Grid, draw: Callable) -> None:
    new = grid.new_name(draw)
    for line in [grid.header, *filter(None, grid.rows)]:
        line.append(new if line is grid.header else "1")
    grid.faults.append(f"Unexpected Column: {new!r} (Line 1, Column ")


def respell_id(grid: Grid, draw: Callable) -> None:
    old = grid.header[0]
    new = old.swapcase() if old.swapcase() not in (old, *grid.header) else f" {old}"
    assume(new not in grid.header)
    grid.header[0] = new
    grid.faults += [
        f"Required column {old!r} could not be found",
        f"Unexpected Column: {new!r} (Line 1, Column 1)",
    ]


OF_ROWS = [drop_row, repeat_row, rename_row, add_row, spoil_cell, unbalance_row]
OF_COLUMNS = [drop_column, rename_column, name_twice, repeat_column, add_column]
RAGGED = [lengthen_row, shorten_row]


@QUICK
@given(grid=grids(), corruption=st.sampled_from([*OF_ROWS, *RAGGED, *OF_COLUMNS, respell_id]), data=st.data())
def test_each_corruption_is_found_and_named(grid, corruption, data, tmp_path):
    event(corruption.__name__)
    assume(len(grid.free_columns) > 1 or corruption is not drop_column)
    confirm(grid, [corruption], data.draw, tmp_path)


@settings(QUICK, max_examples=EXAMPLES + 50)
@given(grid=grids(), data=st.data())
def test_several_corruptions_are_found_at_once(grid, data, tmp_path):
    of_columns = data.draw(
        st.lists(st.sampled_from(OF_COLUMNS), max_size=len(grid.free_columns) - 1, unique=True)
    )
    of_rows = data.draw(st.lists(st.sampled_from([*OF_ROWS, *RAGGED]), max_size=4))
    if of_columns:  # sums of other columns say nothing
        of_rows = [one for one in of_rows if one is not unbalance_row]
    respelt = data.draw(st.lists(st.just(respell_id), max_size=1))
    ragged = [
        one for one in of_rows if one in RAGGED
    ]  # last, since columns are added to rows as long as the header
    plain = [one for one in of_rows if one not in RAGGED]
    confirm(grid, [*of_columns, *plain, *ragged, *respelt], data.draw, tmp_path)


def confirm(grid: Grid, corruptions: list[Callable], draw: Callable, folder: Path) -> None:
    sample = text_of(grid.header, grid.sample)
    for corruption in corruptions:
        corruption(grid, draw)
    rows = [row for row in grid.rows if row]
    if len(rows) != len(grid.sample):
        grid.faults.append(f"Submission must have {len(grid.sample)} rows; it has {len(rows)}")
    (folder / "sample.csv").write_bytes(sample.encode())
    (folder / "x.csv").write_bytes(text_of(grid.header, rows).encode())
    found = check(folder / "x.csv", folder / "sample.csv")
    assert bool(found) == bool(corruptions)
    text = "\n".join(found)
    assert [fault for fault in grid.faults if fault not in text] == [], text


# -- corruptions of the file as a whole ------------------------------------------------------------------------


def file_faults(grid: Grid, content: bytes, folder: Path) -> str:
    (folder / "sample.csv").write_bytes(text_of(grid.header, grid.sample).encode())
    (folder / "x.csv").write_bytes(content)
    return "\n".join(check(folder / "x.csv", folder / "sample.csv"))


def is_number(text: str) -> bool:
    try:
        float(text.replace("_", "x"))
    except ValueError:
        return False
    return True


@QUICK
@given(grid=grids(), data=st.data())
def test_a_truncated_file_is_found(grid, data, tmp_path):
    whole = text_of(grid.header, grid.rows).encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    left = list(csv.reader(io.StringIO(cut.decode(errors="ignore"), newline="")))
    rows = [row for row in left if row]
    if len(rows) == len(grid.rows) + 1 and len(rows[-1]) == len(grid.header):
        last = rows[-1][-1]
        assume(  # a number is still one when cut
            not (is_number(last) or grid.form == "names") or not last.strip()
        )
    found = file_faults(grid, cut, tmp_path)
    assert found
    lost = grid.rows[max(0, len(rows) - 2) :]  # the row cut in two, and those below
    in_header = len(rows) < 2
    assert in_header or "UTF-8" in found or any(repr(row[0]) in found for row in lost)


@settings(QUICK, max_examples=50)
@given(grid=grids(), separator=st.sampled_from(";\t|"))
def test_another_separator_is_named(grid, separator, tmp_path):
    found = file_faults(grid, text_of(grid.header, grid.rows, delimiter=separator).encode(), tmp_path)
    assert f"separated by {separator!r}, expected ','" in found


@settings(QUICK, max_examples=50)
@given(grid=grids(), encoding=st.sampled_from(["utf-16", "latin-1", "cp1252"]))
def test_another_encoding_is_named(grid, encoding, tmp_path):
    grid.rows[0][0] += "ü"  # or most would be ASCII, and so UTF-8
    try:
        content = text_of(grid.header, grid.rows).encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    with pytest.raises(UnicodeDecodeError):
        content.decode()
    assert "expected a CSV in UTF-8" in file_faults(grid, content, tmp_path)


def test_a_quotation_mark_that_is_not_closed_is_named(tmp_path):
    rows = [[f"{k:06d}", "0.5"] for k in range(20_000)]
    (tmp_path / "sample.csv").write_text(text_of(["id", "n"], rows))
    text = text_of(["id", "n"], rows).replace("000777,", '"000777,')
    (tmp_path / "x.csv").write_text(text)
    (fault,) = check(tmp_path / "x.csv", tmp_path / "sample.csv")
    assert "is a quotation mark not closed?" in fault


def test_a_file_without_its_id_column_is_checked_all_the_same(tmp_path):
    (tmp_path / "sample.csv").write_text("id,a,b\n1,0,0\n2,0,0\n")
    (tmp_path / "x.csv").write_text("a,b\n0.5,x\n")
    assert check(tmp_path / "x.csv", tmp_path / "sample.csv") == [
        "Required column 'id' could not be found",
        "Submission must have 2 rows; it has 1",
        "1 cells are not numbers: row '#2', column 'b' ('x')",
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "id\n", "id,a\n"])
def test_next_to_nothing_is_named(tmp_path, text):
    (tmp_path / "sample.csv").write_text("id,a\n1,0\n2,0\n")
    (tmp_path / "x.csv").write_text(text)
    (fault, *_) = check(tmp_path / "x.csv", tmp_path / "sample.csv")
    assert any(
        words in fault for words in ["the file is empty", "found only 'id'", "must have 2 rows; it has 0"]
    )
