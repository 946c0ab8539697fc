"""Files of trainers: the network lies below a prefix that nobody could list, in one of several state dicts, or twice.

The kind: whatever stands before the keys (Lightning, MoCo, SWA, dicts of dicts), the network that is wholly there is
found and the choice is said; where two fit, the average of the other is taken, as timm takes it, or it is asked which.
"""

import numpy as np
import pytest
from reference import files, shapes
from safetensors.numpy import save_file
from torch_files import save_torch

from jaxlab.core.types import UserError
from jaxlab.models import LeNet5
from jaxlab.weights import load_pretrained

STATE = files.state_dict("lenet5_32")
OTHER = {key: array + 1 for key, array in STATE.items()}
STRAY = {"queue": np.zeros((3, 2), np.float32)}


def below(prefix, arrays=STATE):
    return {f"{prefix}{key}": array for key, array in arrays.items()}


def loaded(source):
    """The first kernel's sum over that of the file's state dict, and the notes of the record."""
    config = LeNet5()
    _, params, stats = shapes.split(config, 1)
    found, _, record = load_pretrained(config, str(source), shapes.flat(params), shapes.flat(stats))
    added = found["conv1.bias"] - STATE["conv1.bias"]
    return round(float(added.mean())), record


FOUND = {
    "lightning.ckpt": ({"state_dict": below("model."), "epoch": 3, "optimizer_states": []}, "model"),
    "moco.pth": ({"state_dict": below("module.encoder_q."), "arch": "lenet"}, "encoder_q"),
    "swa.pth": ({"n_averaged": np.array(3), **below("module.")}, "module"),
    "spark.pth": ({"arch": "lenet", "module": STATE, "is_pretrain": True}, ""),
    "mmcls.pth": ({"meta": {}, "state_dict": below("backbone.") | {"head.w": np.ones(2)}}, "backbone"),
    "vissl.pth": ({"a": {"b": {"c": {"trunk": below("_feature_blocks.")}}}}, "_feature_blocks"),
    "optimizer.pth": ({"net": STATE, "optimizer": {"state": {0: {"exp_avg": np.ones(3)}}}}, ""),
    "unknown.pth": ({"who": {"knows": below("deep.er.")}, "rest": STRAY}, "who.knows.deep.er"),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_network_is_found_below_any_prefix_and_the_prefix_said(name, tmp_path):
    content, prefix = FOUND[name]
    save_torch(content, tmp_path / name)
    added, record = loaded(tmp_path / name)
    assert added == 0
    assert record["notes"] == ([f"from the part {prefix} of the file"] if prefix else [])


AVERAGED = {
    "timm.pth": ({"state_dict": STATE, "state_dict_ema": OTHER}, "state_dict"),
    "deit.pth": (
        {"model": STATE, "model_ema": {"n_averaged": np.array(3), **below("module.", OTHER)}},
        "model",
    ),
    "lightning.ckpt": ({"state_dict": below("net.") | below("ema.", OTHER)}, "net"),
    "swa.pth": ({"model": STATE, "swa_model": OTHER, "epoch": 1}, "model"),
}


@pytest.mark.parametrize("name", AVERAGED)
def test_of_raw_and_averaged_weights_the_averaged_are_taken_and_the_way_to_the_others_said(name, tmp_path):
    """timm.models.load_checkpoint has use_ema=True."""
    content, raw = AVERAGED[name]
    save_torch(content, tmp_path / name)
    added, record = loaded(tmp_path / name)
    assert added == 1
    (note,) = record["notes"]
    assert note.startswith("the averaged ones, ")
    assert note.endswith(f"{name}#{raw} takes the others")
    assert loaded(f"{tmp_path / name}#{raw}")[0] == 0, "the note's own words"


def test_averages_without_a_way_to_the_others(tmp_path):
    save_torch({**STATE, **below("ema.", OTHER)}, tmp_path / "x.pth")
    added, record = loaded(tmp_path / "x.pth")
    assert added == 1
    assert record["notes"][0].startswith(
        "the averaged ones, ema, of two sets in the file; a file with those alone"
    )


UNNAMED = {
    "latent diffusion's": {
        "state_dict": below("model.")
        | {f"model_ema.{key.replace('.', '')}": array for key, array in OTHER.items()}
        | {"model_ema.decay": np.ones(1), "model_ema.num_updates": np.ones(1)}
    },
    "torch_ema's": {"model": STATE, "ema": {"shadow_params": list(OTHER.values()), "decay": 0.9}},
}


@pytest.mark.parametrize("whose", UNNAMED)
def test_averages_whose_names_are_not_the_networks_are_told_of(whose, tmp_path):
    save_torch(UNNAMED[whose], tmp_path / "x.pth")
    added, record = loaded(tmp_path / "x.pth")
    assert added == 0
    assert f"from the part model of the file; {len(OTHER)} keys as " in record["notes"][0]
    assert "are averaged weights" in record["notes"][0]


def test_two_networks_are_asked_for(tmp_path):
    """MoCo's own training files have the encoder and its slow copy, DINO's a student and a teacher."""
    file = tmp_path / "moco.pth"
    both = below("module.encoder_q.") | below("module.encoder_k.", OTHER) | {"module.queue": STRAY["queue"]}
    save_torch({"state_dict": both, "epoch": 1}, file)
    with pytest.raises(
        UserError, match=r"found 2: encoder_q, encoder_k\. Say which: pretrained='.*#encoder_q'"
    ):
        loaded(file)
    assert [loaded(f"{file}#{part}")[0] for part in ("encoder_q", "encoder_k", "module.encoder_k")] == [
        0,
        1,
        1,
    ]
    with pytest.raises(
        UserError, match=r"moco\.pth#encoder: expected keys that begin with 'encoder'\., found "
    ):
        loaded(f"{file}#encoder")


def test_a_name_with_a_hash_is_a_name(tmp_path):
    save_file(STATE, tmp_path / "a#b.safetensors")
    assert loaded(tmp_path / "a#b.safetensors")[0] == 0


def test_what_is_another_network_is_told_with_its_prefix(tmp_path):
    save_file(below("visual.trunk.", STRAY | {"w": np.ones(2)}), tmp_path / "x.safetensors")
    words = r"does not look like a LeNet-5.*; all keys of the file begin with 'visual\.trunk\.'"
    with pytest.raises(UserError, match=words):
        loaded(tmp_path / "x.safetensors")


def test_a_part_with_most_of_the_network_is_what_the_message_is_about(tmp_path):
    short = {key: array for key, array in STATE.items() if key != "fc2.bias"}
    save_file(below("net.", short), tmp_path / "x.safetensors")
    with pytest.raises(
        UserError, match=r"those below 'net\.', of \d keys\): 1 missing from the file: fc2\.bias"
    ):
        loaded(tmp_path / "x.safetensors")
