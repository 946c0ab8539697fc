"""Text in another encoding, or no text, is told what it is: by submit and by jaxlab, in the same words."""

import pytest

from jaxlab import UserError
from jaxlab.data.readers.tables import read_columns
from submit import SubmissionError
from submit.files.csv_table import read_table

TEXT = "id,n0\nä,1\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            TEXT.encode("utf-16"),
            "it is UTF-16, as Excel's `Unicode text`: pandas.read_csv(PATH, encoding='utf-16'",
        ),
        (TEXT.encode("utf-16-le"), "it is UTF-16: pandas.read_csv(PATH, encoding='utf-16-le'"),
        (
            TEXT.replace("ä", "a").encode("utf-16-be"),
            "it is UTF-16: pandas.read_csv(PATH, encoding='utf-16-be'",
        ),
        (
            TEXT.encode("cp1252"),
            "if it comes from a spreadsheet, perhaps pandas.read_csv(PATH, encoding='cp1252'",
        ),
        (b"PK\x03\x04\xff", "it is a zip, or a workbook of Excel: save it as `CSV UTF-8`"),
        (b"PAR1\xff", "it is Parquet: call it .parquet"),
    ],
)
def test_what_is_not_in_utf_8_is_told_what_it_is(tmp_path, content, words):
    (path := tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_columns(path, ["id"], ["n0"])
    assert f"{path}: not a CSV in UTF-8 (" in str(refused.value)
    assert words in str(refused.value)
    with pytest.raises(SubmissionError) as refused:
        read_table(path)
    assert f"{path}: expected a CSV in UTF-8; " in str(refused.value)
    assert words in str(refused.value)


def test_what_is_advised_mends_it(tmp_path):
    import pandas as pd

    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "cp1252"):
        (path := tmp_path / "x.csv").write_bytes(TEXT.encode(encoding))
        pd.read_csv(path, encoding=encoding, dtype=str).to_csv(path, index=False)
        assert read_table(path).ids.tolist() == ["ä"]


def test_the_name_of_a_csv_unpacks_nothing(tmp_path):
    (path := tmp_path / "x.csv.gz").write_text(TEXT, encoding="utf-8")
    assert read_columns(path, ["id"], ["n0"])["n0"].tolist() == [1]
