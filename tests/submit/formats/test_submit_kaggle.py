import csv

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from submit import Predictions, SubmissionError, check, write
from submit.formats.kaggle import writing

SAMPLE = "image_id,n0,n1\n0001,0.0,0.0\nNA,0.0,0.0\nc,0.0,0.0\n"
GOOD = "image_id,n0,n1\n0001,1.5,2\nNA,-3e-1,4\nc,5,6\n"
LABELS = "id,label\n01,cat\n02,cat\n03,cat\n04,cat\n"


@pytest.fixture
def sample(tmp_path):
    (tmp_path / "sample.csv").write_text(SAMPLE)
    return tmp_path / "sample.csv"


@pytest.fixture
def label_sample(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path / "labels.csv"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (GOOD, []),
        ("n1,image_id,n0\n6,c,5\n4,NA,-3e-1\n2,0001,1.5\n", []),  # Kaggle goes by name, not by order
        (
            GOOD.replace("n1", "m"),
            ["Required column 'n1' could not be found", "Unexpected Column: 'm' (Line 1, Column 3)"],
        ),
        (
            GOOD.replace("image_id", "id"),
            ["Required column 'image_id' could not be found", "Unexpected Column: 'id' (Line 1, Column 1)"],
        ),
        (
            GOOD.replace("c,5,6\n", ""),
            ["Submission must have 3 rows; it has 2", "1 ids missing from the submission: 'c'"],
        ),
        (
            GOOD + "d,7,8\n",
            ["Submission must have 3 rows; it has 4", "1 ids in the submission that are not expected: 'd'"],
        ),
        (GOOD + "c,7,8\n", ["Submission must have 3 rows; it has 4", "1 rows repeat an id: 'c'"]),
        (
            GOOD.replace("0001", "1"),
            [
                "1 ids missing from the submission: '0001'",
                "1 ids in the submission that are not expected: '1'",
                "ids: they differ in zeros before numbers, which a spreadsheet takes away: '0001' where there is '1'",
            ],
        ),
        (GOOD.replace("1.5", "abc"), ["1 cells are not numbers: row '0001', column 'n0' ('abc')"]),
        (GOOD.replace("1.5", ""), ["1 cells are not numbers: row '0001', column 'n0' ('')"]),
        (GOOD.replace("-3e-1", "NaN"), ["1 cells are NaN: row 'NA', column 'n0'"]),
        (GOOD.replace("-3e-1", "-inf"), ["1 cells are infinite: row 'NA', column 'n0'"]),
        (
            GOOD.replace("n1", "n0"),
            ["Required column 'n1' could not be found", "1 columns occur more than once: 'n0'"],
        ),
        (
            "image_id,n0,x\n0001,,nan\nNA,inf,text\nd,1,1\nd,1,1\n",
            [
                "Required column 'n1' could not be found",
                "Unexpected Column: 'x' (Line 1, Column 3)",
                "Submission must have 3 rows; it has 4",
                "1 rows repeat an id: 'd'",
                "1 ids missing from the submission: 'c'",
                "1 ids in the submission that are not expected: 'd'",
                "2 cells are not numbers: row '0001', column 'n0' (''); row 'NA', column 'x' ('text')",
                "1 cells are NaN: row '0001', column 'x'",
                "1 cells are infinite: row 'NA', column 'n0'",
            ],
        ),
    ],
)
def test_every_fault_is_found_in_a_file_and_in_a_table(sample, tmp_path, text, faults):
    (tmp_path / "x.csv").write_text(text)
    assert check(tmp_path / "x.csv", sample) == faults
    header = next(csv.reader([text.splitlines()[0]]))
    frame = pd.read_csv(tmp_path / "x.csv", dtype=str, keep_default_na=False).set_axis(header, axis=1)
    assert check(frame, sample) == faults


def test_a_table_of_numbers_is_checked(sample):
    frame = pd.DataFrame({"image_id": ["0001", "NA", "c"], "n0": [1.0, np.nan, 2.0], "n1": [1, 2, 3]})
    assert check(frame, sample) == ["1 cells are NaN: row 'NA', column 'n0'"]
    assert check(frame.fillna(0.0), sample) == []
    assert check(frame.fillna(0.0).set_index("image_id"), sample) == []
    assert "not numbers: row '0001', column 'n0' ('True')" in check(frame.assign(n0=True), sample)[0]


def test_a_broken_file_is_a_fault_and_a_broken_sample_an_error(sample, tmp_path):
    (tmp_path / "x.csv").write_text("image_id,n0,n1\n0001,1\n")
    assert check(tmp_path / "x.csv", sample) == [
        "1 rows have not as many cells as the header, 3: row 2 ('0001') has 2",
        "Submission must have 3 rows; it has 1",
        "2 ids missing from the submission: 'NA', 'c'",
    ]
    sample.write_text("image_id,n0\na,0\na,0\n")
    with pytest.raises(SubmissionError, match=r"sample\.csv: ids: 1 occur more than once: 'a'"):
        check(tmp_path / "x.csv", sample)


def test_many_faults_of_a_kind_are_counted(tmp_path, sample):
    columns = [f"m{i}" for i in range(30)]
    frame = pd.DataFrame(np.nan, index=range(3), columns=["image_id", *columns])
    frame["image_id"] = ["0001", "NA", "c"]
    found = check(frame, sample)
    assert "25 more unexpected columns" in found
    assert found[-1].startswith("90 cells are NaN: row '0001', column 'm0'; ")
    assert found[-1].endswith("and 85 more")


def test_written_in_the_samples_order(sample, tmp_path):
    values = np.array([[6, 5], [4, 0.1], [2, 1.5]])
    predictions = Predictions(np.array(["c", "NA", "0001"]), values, np.array(["n1", "n0"]))
    write(predictions, tmp_path / "out.csv", sample)
    assert (tmp_path / "out.csv").read_bytes() == b"image_id,n0,n1\n0001,1.5,2\nNA,0.1,4\nc,5,6\n"
    assert check(tmp_path / "out.csv", sample) == []
    assert check(predictions, sample) == []


def test_pandas_reads_back_what_was_written(odd, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_CELLS", 9)  # three rows at a time
    frame = pd.read_csv(write(odd, tmp_path / "out.csv"), dtype={"id": str}, keep_default_na=False)
    assert frame["id"].tolist() == odd.ids.tolist()
    assert frame.columns.tolist() == ["id", *odd.targets.tolist()]
    np.testing.assert_array_equal(frame.iloc[:, 1:].to_numpy(np.float32), odd.values)


@pytest.mark.parametrize("name", ["out.csv.gz", "out.npz", "out", ""])
def test_only_a_csv_is_written(odd, tmp_path, name):
    with pytest.raises(SubmissionError, match=r"a submission is written as \.csv"):
        write(odd, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_when_the_check_fails(sample, tmp_path):
    values = np.array([[1, 2], [np.nan, 4]])
    predictions = Predictions(np.array(["0001", "d"]), values, np.array(["n0", "m"]))
    with pytest.raises(SubmissionError) as caught:
        write(predictions, tmp_path / "out.csv", sample)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'out.csv'} was not written:",
        "- Required column 'n1' could not be found",
        "- Unexpected Column: 'm' (Line 1, Column 3)",
        "- Submission must have 3 rows; it has 2",
        "- 2 ids missing from the submission: 'NA', 'c'",
        "- 1 ids in the submission that are not expected: 'd'",
        "- 1 cells are NaN: row 'd', column 'n0'",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["sample.csv"]


def test_a_full_disk_leaves_the_earlier_submission(odd, tmp_path, monkeypatch):
    path = write(odd, tmp_path / "out.csv")
    before = path.read_bytes()
    monkeypatch.setattr(
        writing, "row_lines", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(SubmissionError, match="No space left on device"):
        write(odd, path)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path, path.with_name("out.csv.provenance.json")]


def test_classes_are_written_by_name(classes, label_sample, tmp_path):
    write(classes, tmp_path / "out.csv", label_sample)
    assert (tmp_path / "out.csv").read_text() == "id,label\n01,cat\n02,dog\n03,cat\n04,ox\n"
    assert check(tmp_path / "out.csv", label_sample) == []
    assert check(classes, label_sample) == []


def test_logits_become_probabilities_where_the_sample_has_a_column_each(classes, tmp_path):
    sample = tmp_path / "wide.csv"
    sample.write_text("id,ox,cat,dog\n" + "".join(f"0{i},0,0,0\n" for i in (4, 3, 2, 1)))
    found = pd.read_csv(write(classes, tmp_path / "out.csv", sample), dtype={"id": str})
    assert found.columns.tolist() == ["id", "ox", "cat", "dog"]
    assert found["id"].tolist() == ["04", "03", "02", "01"]
    expected = softmax(classes.values.astype(float), axis=1)[::-1, [2, 0, 1]]
    np.testing.assert_allclose(found.iloc[:, 1:], expected, rtol=1e-6)
    np.testing.assert_allclose(found.iloc[:, 1:].sum(axis=1), 1, atol=1e-6)
    without = Predictions.load(write(classes, tmp_path / "raw.csv"))  # no sample asks for probabilities
    np.testing.assert_array_equal(without.values, classes.values)


def test_probabilities_are_written_as_they_are(classes, tmp_path):
    values = softmax(classes.values, axis=1)
    given = Predictions(classes.ids, values, classes.targets, kind="probabilities")
    sample = tmp_path / "sample.csv"
    sample.write_text("id,cat,dog,ox\n" + "".join(f"0{i},0.333,0.333,0.333\n" for i in (1, 2, 3, 4)))
    np.testing.assert_array_equal(Predictions.load(write(given, tmp_path / "out.csv", sample)).values, values)
    assert check(tmp_path / "out.csv", sample) == []


def test_what_is_no_probability_is_named_in_kaggles_words(tmp_path):
    (tmp_path / "sample.csv").write_text("id,cat,dog,ox\na,0.2,0.3,0.5\nb,1,0,0\nc,0,0,1\n")
    (tmp_path / "x.csv").write_text("id,cat,dog,ox\na,0.333,0.333,0.333\nb,-0.5,1.5,0\nc,0.5,0.5,0.5\n")
    assert check(tmp_path / "x.csv", tmp_path / "sample.csv") == [
        "All target values in submission must be at least zero: row 'b', column 'cat'",
        "All target values in submission must be no greater than one: row 'b', column 'dog'",
        "Target values in submission do not add to one within all rows: 'c' (1.5)",
    ]
    (tmp_path / "x.csv").write_text("id,cat,dog,ox\na,0.333,0.333\nb,1,0,0\nc,0,1,0\n")
    assert check(tmp_path / "x.csv", tmp_path / "sample.csv") == [
        "1 rows have not as many cells as the header, 4: row 2 ('a') has 3"
    ]
    (tmp_path / "half.csv").write_text(
        "id,cat,dog\na,0.5,0.5\nb,0.5,0.5\n"
    )  # two labels of their own, perhaps
    (tmp_path / "y.csv").write_text("id,cat,dog\na,0.9,0.9\nb,0.1,0.2\n")
    assert check(tmp_path / "y.csv", tmp_path / "half.csv") == []


def test_faults_of_class_names(classes, label_sample, tmp_path):
    (tmp_path / "x.csv").write_text("id,label\n01,cat\n02,\n03,7\n04, \n")
    assert check(tmp_path / "x.csv", label_sample) == [
        "2 cells are empty: row '02', column 'label' (''); row '04', column 'label' (' ')"
    ]
    scores = classes.values.copy()
    scores[1, 0] = np.nan
    broken = Predictions(classes.ids, scores, classes.targets, kind="logits")
    with pytest.raises(SubmissionError, match="1 cells are NaN: row '02', column 'label'"):
        write(broken, tmp_path / "out.csv", label_sample)


def test_numbers_are_not_written_where_class_names_are_asked_for(classes, label_sample, tmp_path):
    for kind in ("regression", "probabilities"):
        given = Predictions(classes.ids, classes.values[:, :1] / 9, np.array(["label"]), kind)
        with pytest.raises(
            SubmissionError, match="'label', holds class names, and the predictions are numbers"
        ):
            write(given, tmp_path / "out.csv", label_sample)


def test_class_names_pass_where_the_sample_holds_a_placeholder_number(classes, tmp_path):
    (tmp_path / "zero.csv").write_text("id,label\n01,0\n02,0\n03,0\n04,0\n")
    write(classes, tmp_path / "out.csv", tmp_path / "zero.csv")
    assert check(tmp_path / "out.csv", tmp_path / "zero.csv") == []


@pytest.mark.parametrize(
    ("placeholder", "names", "writes"),
    [
        ("0.5", ["cat", "dog", "ox"], False),
        ("0.5", ["0", "1", "2"], False),  # a probability is asked for, of one of them
        ("0.0", ["0", "1", "2"], True),
        ("0.0", ["cat", "dog", "ox"], False),
        ("0", ["cat", "dog", "ox"], True),
    ],
)
def test_classes_are_not_written_where_numbers_are_asked_for(classes, tmp_path, placeholder, names, writes):
    sample = tmp_path / "sample.csv"
    sample.write_text("id,target\n" + "".join(f"0{i},{placeholder}\n" for i in (1, 2, 3, 4)))
    given = Predictions(classes.ids, classes.values, np.array(names), kind="logits")
    if writes:
        assert check(write(given, tmp_path / "out.csv", sample), sample) == []
        return
    with pytest.raises(
        SubmissionError, match=r"out\.csv was not written:\n- the sample's only column, 'target', ho"
    ):
        write(given, tmp_path / "out.csv", sample)
    one = Predictions(classes.ids, softmax(classes.values, 1)[:, [1]], np.array(["target"]), "probabilities")
    assert check(write(one, tmp_path / "out.csv", sample), sample) == []


def test_ids_that_end_like_a_class_do_not_make_a_long_form(label_sample, tmp_path):
    label_sample.write_text("id,label\nx,cat\nx_cat,cat\n")
    given = Predictions(np.array(["x", "x_cat"]), np.eye(2), np.array(["cat", "dog"]), kind="logits")
    assert write(given, tmp_path / "out.csv", label_sample).read_text() == "id,label\nx,cat\nx_cat,dog\n"


def test_large_logits_become_probabilities_too(classes, tmp_path):
    (tmp_path / "sample.csv").write_text("id,cat,dog\n01,0.5,0.5\n")
    large = Predictions(classes.ids[:1], np.array([[2000, 1000]]), classes.targets[:2], kind="logits")
    assert write(large, tmp_path / "out.csv", tmp_path / "sample.csv").read_text() == "id,cat,dog\n01,1,0\n"
