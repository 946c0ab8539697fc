import numpy as np
import pytest
from PIL import Image
from pooled_folders import SEEN, SHARED, TEST, TRAIN

from jaxlab import UserError
from jaxlab.data import Arrays, ImageTree, Pooled, RandomSplit, Unlabelled


def grey(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((5, 6, 3), value, np.uint8)).save(path)


def test_all_images_below_folders(tmp_path):
    for number, name in enumerate(("b.png", "in/a.png", "in/deep/er.png", ".hidden/no.png")):
        grey(tmp_path / "one" / name, number)
    grey(tmp_path / "two/a.png", 9)
    opened = ImageTree(root=str(tmp_path / "one"), more=(str(tmp_path / "two"),)).open()
    assert opened.train.ids.tolist() == ["b.png", "in/a.png", "in/deep/er.png", "two/a.png"]
    assert [int(opened.train.read(row)[0, 0, 0]) for row in range(4)] == [0, 1, 2, 9]
    assert (opened.train.target, opened.train.label, opened.test) == (None, None, None)
    with pytest.raises(UserError, match=r"ids of .*in would begin with 'in/', as those of another folder do"):
        ImageTree(root=str(tmp_path / "one"), more=(str(tmp_path / "one/in"),)).open()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: expected images in it or below .* found none"):
        ImageTree(root=str(tmp_path / "empty")).open()


def test_images_of_another_format_are_told(tmp_path):
    grey(tmp_path / "in/a.png", 1)
    for name in ("b.heic", "in/c.dng"):
        (tmp_path / name).write_bytes(b"x")
    (note,) = ImageTree(root=str(tmp_path)).open().notes
    assert f"{tmp_path}: 2 files are left out" in note
    assert "(b.heic, in/c.dng)" in note
    (tmp_path / "in/a.png").unlink()
    with pytest.raises(UserError, match=r"expected images in it or below .* found none; .*2 files are left"):
        ImageTree(root=str(tmp_path)).open()


def test_a_labelled_source_without_its_truth(arrays_npz):
    data, arrays = Arrays(root=str(arrays_npz)), np.load(arrays_npz)
    plain = Unlabelled(data=data).open()
    assert (len(plain.train), plain.train.target, plain.targets) == (44, None, ())
    both = Unlabelled(data=data, test=True).open()
    assert both.notes[-1] == "7 test images are learned from, too (transductive), without any truth"
    assert len(np.unique(both.train.ids)) == 51
    np.testing.assert_array_equal(both.train.read(43), arrays["images"][43])
    np.testing.assert_array_equal(both.train.read(44 + 2), arrays["test_images"][2])
    assert both.train.checksum(46) == data.open().test.checksum(2)
    none = Arrays(root=str(arrays_npz), test_images=None) if hasattr(data, "test_images") else None
    if none is not None:
        with pytest.raises(UserError, match=r"Unlabelled.test: Arrays has no test images"):
            Unlabelled(data=none, test=True).open()


def test_equal_images_to_learn_and_to_predict_are_one_and_on_one_side(pooled_folders):
    """Of `pooled_folders` the last test images of s10 are the first that s1 learns."""
    samples = Unlabelled(data=Pooled(root=str(pooled_folders)), test=True).open().train
    place = {name: row for row, name in enumerate(samples.ids.tolist())}
    pairs = [(place[f"s1/{k:03d}"], place[f"test/s10/t{TEST - SEEN + k}"]) for k in range(SEEN)]
    for learned, asked in pairs:
        assert samples.image_of[learned] == samples.image_of[asked]
        assert samples.columns["image"][learned] == samples.columns["image"][asked]
    assert len(np.unique(samples.image_of)) == sum(TRAIN.values()) - SHARED + len(TRAIN) * TEST - SEEN
    for seed in range(4):
        _, validate = RandomSplit(validation=0.5, seed=seed).split(samples)
        assert all((learned in validate) == (asked in validate) for learned, asked in pairs)
