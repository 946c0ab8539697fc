import numpy as np
import pytest

from submit import Predictions, SubmissionError, write

NAMES = np.array(["a", "b"])


def same(one: Predictions, other: Predictions) -> None:
    assert one.ids.tolist() == other.ids.tolist()
    assert one.targets.tolist() == other.targets.tolist()
    np.testing.assert_array_equal(one.values, other.values)
    assert one.values.dtype == other.values.dtype == np.float32


def test_npz_round_trip_keeps_everything(odd, tmp_path):
    back = Predictions.load(odd.save(tmp_path / "new folder" / "test.npz"))
    same(back, odd)
    assert (back.kind, back.split, dict(back.provenance)) == ("regression", "test", {"run": "x", "seed": 1})
    with np.load(tmp_path / "new folder" / "test.npz", allow_pickle=False) as file:
        assert sorted(file.files) == sorted(
            ["ids", "values", "targets", "kind", "split", "provenance", "schema"]
        )
        assert file["schema"] == 1
        assert file["provenance"].item() == '{"run": "x", "seed": 1}'


def test_csv_round_trip_keeps_ids_and_every_bit(odd, tmp_path):
    same(Predictions.load(write(odd, tmp_path / "x.csv")), odd)


def test_a_failed_save_leaves_the_old_file_and_no_other(odd, tmp_path, monkeypatch):
    path = odd.save(tmp_path / "x.npz")
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(SubmissionError, match=r"x\.npz could not be written \(No space left on device\)"):
        odd.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a", "a"])}, "ids: 1 occur more than once: 'a'"),
        ({"ids": np.array([1, 2])}, "ids: expected strings, found 1 "),
        ({"ids": np.array([["a", "b"]])}, "ids: expected one dimension"),
        ({"targets": np.array(["t", "t"])}, "targets: 1 occur more than once: 't'"),
        ({"values": np.zeros((3, 2))}, r"expected shape \(2, 2\) for 2 ids and 2 targets, found \(3, 2\)"),
        ({"values": np.zeros(2)}, r"found \(2,\)"),
        ({"values": np.array([["x", "y"]] * 2)}, "values: expected numbers"),
        (
            {"values": np.zeros((2, 0)), "targets": np.array([], str)},
            "targets: expected one or more, found none",
        ),
        (
            {"kind": "logits", "values": np.zeros((2, 1)), "targets": np.array(["t"])},
            "kind 'logits': expected two classes or more, found 't' alone",
        ),
        ({"kind": "logit"}, "kind: expected one of regression, logits, probabilities; found 'logit'"),
        ({"provenance": {"x": np.zeros(1)}}, "provenance cannot be written as JSON"),
    ],
)
def test_construction_refuses(change, message):
    with pytest.raises(SubmissionError, match=message):
        Predictions(**{"ids": NAMES, "values": np.zeros((2, 2)), "targets": NAMES, **change})


def test_values_that_are_not_finite_are_left_to_the_check():
    assert np.isnan(Predictions(NAMES, np.full((2, 1), np.nan), np.array(["t"])).values).all()


def test_an_array_that_is_named_as_an_npz_is_refused(tmp_path):
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.ones((2, 2)))
    with pytest.raises(SubmissionError, match=r"x\.npz: the file is truncated, damaged or not an npz"):
        Predictions.load(tmp_path / "x.npz")


@pytest.mark.parametrize("keep", [0, 10, 200, -1, -30])
def test_a_truncated_npz_is_named(odd, tmp_path, keep):
    path = odd.save(tmp_path / "x.npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SubmissionError, match=r"x\.npz: the file is truncated, damaged or not an npz"):
        Predictions.load(path)


def test_a_flipped_bit_in_the_values_is_seen(odd, tmp_path):
    path = odd.save(tmp_path / "x.npz")
    data = bytearray(path.read_bytes())
    data[data.index(odd.values.tobytes()) + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(SubmissionError, match="damaged"):
        Predictions.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": np.array(2)}, "schema: expected 1, found 2"),
        ({"kind": np.array(3)}, "kind: expected text, found int64"),
        ({"provenance": np.array("{")}, "provenance: expected JSON"),
        ({"provenance": np.array("[]")}, "provenance: expected a JSON object"),
        (
            {"ids": np.array(["a", None], object)},
            "truncated, damaged or not an npz",
        ),  # a pickle is never opened
        ({"values": None, "split": None}, "it lacks 'values', 'split'"),
    ],
)
def test_an_npz_of_something_else_is_refused(tmp_path, change, message):
    good = {"ids": NAMES, "values": np.zeros((2, 2), np.float32), "targets": NAMES, "schema": np.array(1)}
    good |= {"kind": np.array("regression"), "split": np.array("test"), "provenance": np.array("{}")}
    np.savez(tmp_path / "x.npz", **{k: v for k, v in {**good, **change}.items() if v is not None})
    with pytest.raises(SubmissionError, match=message):
        Predictions.load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id,a,b\nx,1,2\ny,,2\nz,1,abc\n",
            r"2 cells are not numbers: row 'y', column 'a' \(''\); row 'z', column 'b' \('abc'\)",
        ),
        ("id,a\nx,True\n", r"row 'x', column 'a' \('True'\)"),
        ("id,a,b\nx,1\n", "1 rows have not as many cells as the header, 3: row 2 \\('x'\\) has 2"),
        ("id,a,b\nx,1,2\ny,1,2,3\n", "1 rows have not as many cells as the header, 3: row 3 \\('y'\\) has 4"),
        ("id,a\nx,1\nx,2\n", "ids: 1 occur more than once: 'x'"),
        ("id,a,a\nx,1,2\n", "targets: 1 occur more than once: 'a'"),
        ("id\nx\n", "expected a header with an id column and at least one target, found only 'id'"),
        ("", "the file is empty"),
        (b"id,a\n\xff,1\n", "expected a CSV in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_csv_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "x.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SubmissionError, match=message) as caught:
        Predictions.load(path)
    assert str(caught.value).startswith(str(path))


def test_other_dialects_of_csv_are_read(tmp_path):
    (tmp_path / "x.csv").write_bytes('\ufeff"id",a,"b"\r\n"x\ny","1.5",-2e-3\r\n\r\nNA, 3 ,nan\r\n'.encode())
    found = Predictions.load(tmp_path / "x.csv")
    assert found.ids.tolist() == ["x\ny", "NA"]
    np.testing.assert_array_equal(found.values, np.array([[1.5, -2e-3], [3, np.nan]], np.float32))


def test_a_csv_longer_than_a_block_keeps_its_order_and_names_its_cells(tmp_path):
    n = 120_000
    lines = [f"{i},{i}.5" for i in range(n)]
    (tmp_path / "x.csv").write_text("id,a\n" + "\n".join(lines) + "\n")
    found = Predictions.load(tmp_path / "x.csv")
    assert found.ids[[0, 77_777, n - 1]].tolist() == ["0", "77777", str(n - 1)]
    np.testing.assert_array_equal(found.values[:, 0], np.arange(n, dtype=np.float32) + np.float32(0.5))
    lines[77_777] = "77777,x"
    (tmp_path / "x.csv").write_text("id,a\n" + "\n".join(lines) + "\n")
    with pytest.raises(SubmissionError, match="1 cells are not numbers: row '77777', column 'a'"):
        Predictions.load(tmp_path / "x.csv")


def test_a_suffix_that_is_neither_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(SubmissionError, match=r"expected a \.npz or \.csv file"):
        Predictions.load(tmp_path / "x.parquet")
