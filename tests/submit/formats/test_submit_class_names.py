"""Class names that whoever scores the submission does not read as classes: each kind is a fault, in a file, a table and
predictions.

The kinds: numbers in place of names, words that pandas reads as missing, names with something around or within them
that is not seen, and the sample's own names in other characters. What the sample itself holds is none.
"""

import io
import unicodedata

import numpy as np
import pandas as pd
import pytest

from submit import Predictions, SubmissionError, check, write
from submit.formats.kaggle.class_names import MISSING

NAMES, WHOLE = ["cat", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"], ["0", "0"]
ALIKE = "1 cells are names of the sample, written in other characters"
FAULTS = {
    "numbers": (["0", "1"], NAMES, "2 cells are numbers, and the sample holds class names such as 'caf"),
    "fractions": (["0.3", "0.9"], NAMES, "2 cells are numbers"),
    "a fraction": (["cat", "0.3"], NAMES, "1 cells are numbers"),
    "infinite": (["inf", "-Infinity"], NAMES, "2 cells are numbers"),
    "space behind": (["cat ", "cat"], NAMES, "1 cells are names with spaces around them"),
    "space before": (["cat", " dog"], NAMES, "1 cells are names with spaces around them"),
    "no-break space": (["cat", "dog\N{NO-BREAK SPACE}"], NAMES, "1 cells are names with spaces around them"),
    "zero width": (["cat", "do\N{ZERO WIDTH SPACE}g"], NAMES, "characters that are not seen"),
    "mark of the byte order": (
        ["cat", "\N{ZERO WIDTH NO-BREAK SPACE}dog"],
        NAMES,
        "characters that are not seen",
    ),
    "decomposed": (
        ["cat", unicodedata.normalize("NFD", NAMES[1])],
        NAMES,
        "1 cells are names of the sample, written in",
    ),
    "two spaces": (
        ["polar  bear", "cat"],
        ["polar bear", "cat"],
        "1 cells are names of the sample, written in",
    ),
    "space in numbers' place": (["cat ", "dog"], WHOLE, "1 cells are names with spaces around them"),
}
MISSING_WORDS = sorted(MISSING - {"nan", "NaN", "-nan", "-NaN"})
FAULTS |= {word: (["cat", word], NAMES, "1 cells are words that pandas, and") for word in MISSING_WORDS}
FAULTS |= {
    f"all {word}": ([word] * 2, WHOLE, "2 cells are words that pandas, and") for word in ("None", "NA")
}
GOOD = {
    "names": (["dog", NAMES[1]], NAMES),
    "a word that is a number": (["cat", "inf"], NAMES),
    "a whole number among names": (["cat", "7"], NAMES),
    "numbers as in the sample": (["7", "cat"], ["cat", "3"]),
    "missing as in the sample": (["None", "cat"], ["None", "dog"]),
    "space as in the sample": (["cat ", "dog"], ["cat ", "cat "]),
    "other letters": (["Cat", "cats"], NAMES),
    "words within words": (["None of these", "nullius"], NAMES),
    "spaces within": (["polar bear", "ice  bear"], NAMES),
    "names for numbers": (["cat", "dog"], WHOLE),
    "numbers for numbers": (["0.3", "1"], WHOLE),
}


def files(folder, cells, sample) -> tuple:
    for name, column in {"x": cells, "sample": sample}.items():
        pd.DataFrame({"id": ["a", "b"], "label": column}).to_csv(folder / f"{name}.csv", index=False)
    return folder / "x.csv", folder / "sample.csv"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_class_name_is_a_fault(fault, tmp_path):
    cells, names, expected = FAULTS[fault]
    path, sample = files(tmp_path, cells, names)
    (found,) = check(path, sample)
    assert expected in found
    assert "column 'label'" in found
    table = pd.DataFrame({"id": ["a", "b"], "label": cells})
    assert (
        check(table, sample) == check(table, pd.read_csv(sample, dtype=str, keep_default_na=False)) == [found]
    )
    if names is NAMES and "fraction" not in fault:
        scores = np.eye(2) if cells[0] != cells[1] else np.ones((2, 1))
        given = Predictions(
            np.array(["a", "b"]), scores, np.array(list(dict.fromkeys(cells))), "probabilities"
        )
        with pytest.raises(SubmissionError, match=r"out\.csv was not written:\n- \d cells are "):
            write(given, tmp_path / "out.csv", sample)


@pytest.mark.parametrize("case", GOOD)
def test_other_names_pass(case, tmp_path):
    assert check(*files(tmp_path, *GOOD[case])) == []


def test_the_words_are_those_that_pandas_reads_as_missing():
    words = sorted(MISSING | {"none", "nil", "Null", "missing", "-", "?", "NaT", "Na", "<na>", "NONE"})
    read = pd.read_csv(io.StringIO("\n".join(["word", *words])))["word"]
    assert {word for word, cell in zip(words, read, strict=True) if cell != word} == MISSING


def test_ragged_rows_are_no_numbers(tmp_path):
    path, sample = files(tmp_path, ["cat", "cat"], NAMES)
    path.write_text("id,label\na,cat\nb\n")
    assert check(path, sample) == ["1 rows have not as many cells as the header, 2: row 3 ('b') has 1"]


def test_many_are_counted_and_few_named(tmp_path):
    ids = [f"i{k:03d}" for k in range(60_000)]  # several blocks of rows
    pd.DataFrame({"id": ids, "label": "cat"}).to_csv(tmp_path / "sample.csv", index=False)
    cells = [f"dog{k % 7} " if k % 2 else "cat" for k in range(60_000)]
    pd.DataFrame({"id": ids, "label": cells}).to_csv(tmp_path / "x.csv", index=False)
    (found,) = check(tmp_path / "x.csv", tmp_path / "sample.csv")
    assert found.startswith(
        "30,000 cells are names with spaces around them or characters that are not seen: "
    )
    assert "row 'i001', column 'label' ('dog1 '); row 'i003', column 'label' ('dog3 ')" in found
    assert found.endswith("; and 29,995 more")
