"""Weight files of vision transformers: older names, what is left out, and the message that each misfit gets."""

import numpy as np
import pytest
from reference.files import load, state_dict
from reference.networks import CLASSES

from jaxlab.core.types import UserError
from jaxlab.models import DeiT, DINOv2, ViT

TINY = ViT(size="tiny", image_size=64, norm_eps=1e-12, classes=CLASSES)


def older(key):
    """The name that files of transformers have, where its models of version 5 have another."""
    for new, old in (
        ("q_proj", "attention.query"),
        ("k_proj", "attention.key"),
        ("v_proj", "attention.value"),
        ("o_proj", "output.dense"),
        ("vit.layers", "vit.encoder.layer"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        key = key.replace(new, old)
    return key


def test_transformers_older_names_are_the_same():
    source = state_dict("vit_tiny_transformers")
    new, _, _ = load(TINY, source)
    old, _, record = load(TINY, {older(key): value for key, value in source.items()})
    assert record["layout"] == "transformers"
    for path, leaf in new.items():
        np.testing.assert_array_equal(leaf, old[path], err_msg=path)


def test_queries_keys_and_values_keep_their_places():
    source = state_dict("vit_tiny_transformers")
    params, _, _ = load(TINY, source)
    kernel, bias = params["blocks.3.attn.qkv.kernel"], params["blocks.3.attn.qkv.bias"]
    for place, name in enumerate("qkv"):
        part = slice(192 * place, 192 * (place + 1))
        block = f"vit.layers.3.attention.{name}_proj"
        np.testing.assert_array_equal(kernel[:, part], source[f"{block}.weight"].T)
        np.testing.assert_array_equal(bias[part], source[f"{block}.bias"])


@pytest.mark.slow
def test_torchvisions_published_names_are_the_same():
    """Its files say linear_1 where its models say 0."""
    config = ViT(image_size=64)
    source = state_dict("vit_base_torchvision")
    published = {
        key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): value
        for key, value in source.items()
    }
    params, _, record = load(config, published)
    assert record["layout"] == "torchvision"
    assert record["skipped"] == {"the file's classifier": 2}
    assert (record["preprocessing"]["crop_fraction"], record["preprocessing"]["size"]) == (0.875, 64)
    np.testing.assert_array_equal(
        params["blocks.11.fc2.kernel"], source["encoder.layers.encoder_layer_11.mlp.3.weight"].T
    )


def test_a_backbone_without_prefix_and_with_a_pooler():
    source = {key.removeprefix("vit."): value for key, value in state_dict("vit_tiny_transformers").items()}
    source = {key: value for key, value in source.items() if not key.startswith("classifier")}
    pooler = {"pooler.dense.weight": np.zeros((192, 192), np.float32), "pooler.dense.bias": np.zeros(192)}
    backbone = ViT(size="tiny", image_size=64)
    _, _, record = load(backbone, source | pooler)
    assert record["skipped"] == {"the pooler, which no classifier reads": 2}


def test_a_classifier_of_the_class_token_alone_leaves_a_distilled_backbone():
    """As DeiTForImageClassification has it."""
    source = state_dict("deit_tiny_distilled_transformers")
    single = {
        key.replace("cls_classifier", "classifier"): value
        for key, value in source.items()
        if not key.startswith("distillation_classifier")
    }
    backbone = DeiT(size="tiny", image_size=64, distilled=True)
    assert load(backbone, single)[2]["skipped"] == {"the file's classifier": 2}
    assert load(backbone, source)[2]["skipped"] == {"the file's classifier": 4}
    with pytest.raises(
        UserError, match=r"no classifier of the distillation token; classes=0 loads the rest$"
    ):
        load(DeiT(size="tiny", image_size=64, distilled=True, classes=CLASSES), single)


def test_grey_images_through_a_patch_embedding():
    source = state_dict("vit_tiny_timm")
    params, _, record = load(ViT(size="tiny"), source, channels=1)
    kernel = source["patch_embed.proj.weight"].sum(1).transpose(1, 2, 0)
    np.testing.assert_allclose(params["patch_embed.kernel"][:, :, 0], kernel, atol=1e-6)
    assert record["stem"] == "summed over 3 channels"


@pytest.mark.parametrize(
    ("config", "golden", "expected"),
    [
        (ViT(size="tiny"), "vit_tiny_timm", ([0.5] * 3, "bicubic", 0.9, 224)),
        (DeiT(size="tiny"), "vit_tiny_timm", ([0.485, 0.456, 0.406], "bicubic", 0.9, 224)),
        (TINY, "vit_tiny_transformers", ([0.5] * 3, "bilinear", 1.0, 64)),
        (
            DeiT(size="tiny", image_size=64, distilled=True),
            "deit_tiny_distilled_transformers",
            ([0.485, 0.456, 0.406], "bicubic", 0.875, 64),
        ),
        (DINOv2(), "dinov2_small_transformers", ([0.485, 0.456, 0.406], "bicubic", 0.875, 224)),
    ],
    ids=["timm", "deit", "transformers", "deit of transformers", "dinov2 of transformers"],
)
def test_preprocessing_of_each_layout(config, golden, expected):
    found = load(config, state_dict(golden))[2]["preprocessing"]
    assert tuple(found[key] for key in ("mean", "interpolation", "crop_fraction", "size")) == expected


# -- what does not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "golden", "words"),
    [
        (
            ViT(size="base"),
            "vit_tiny_timm",
            r"looks like ViT\(size='tiny', image_size=224\), the config is ViT\(size='base', image_size=224\)$",
        ),
        (
            ViT(size="tiny", image_size=384),
            "vit_tiny_timm",
            r"pos_embed \(1, 197, 192\), the model's is \(1, 577, 192\).*looks like ViT\(size='tiny', image_size=224\)",
        ),
        (
            DeiT(size="tiny"),
            "deit_tiny_distilled_timm",
            r"dist_token.*looks like DeiT\(size='tiny', image_size=224, distilled=True\)",
        ),
        (
            ViT(size="tiny"),
            "deit_tiny_distilled_timm",
            r"looks like DeiT\(.*distilled=True\), the config is ViT",
        ),
        (
            ViT(size="small"),
            "dinov2_small_timm",
            r"looks like DINOv2\(size='small', image_size=56\), the config is ViT",
        ),
        (
            DINOv2(),
            "vit_small_timm",
            r"missing.*looks like ViT\(size='small', image_size=224\), the config is DINO",
        ),
        (ViT(), "resnet18_timm", r"does not look like a vision transformer$"),
    ],
)
def test_another_network_is_recognised(config, golden, words):
    with pytest.raises(UserError, match=words):
        load(config, state_dict(golden))


def test_networks_that_jaxlab_has_not_are_named():
    source = state_dict("vit_tiny_timm")
    deep = source | {key.replace(".11.", ".12."): value for key, value in source.items() if ".11." in key}
    with pytest.raises(
        UserError, match=r"with 13 blocks of width 192, patches of 16 pixels, which jaxlab has not$"
    ):
        load(ViT(size="tiny"), deep)
    with pytest.raises(UserError, match="register tokens"):
        load(ViT(size="tiny"), source | {"reg_token": np.zeros((1, 4, 192), np.float32)})


def test_a_classifier_of_timms_dinov2_is_refused_by_name():
    source = state_dict("dinov2_small_timm")
    head = {"head.weight": np.zeros((5, 384), np.float32), "head.bias": np.zeros(5, np.float32)}
    with pytest.raises(UserError, match=r"reads the class token alone; classes=0 loads the rest$"):
        load(DINOv2(image_size=56, classes=5), source | head)
    assert load(DINOv2(image_size=56), source | head)[2]["skipped"] == {"the file's classifier": 2}


def test_a_missing_key_of_three_is_named():
    source = state_dict("vit_tiny_transformers")
    del source["vit.layers.0.attention.k_proj.weight"]
    with pytest.raises(
        UserError, match=r"2 not expected .*0\.attention\.q_proj\.weight.*1 missing.*0\.attn\.qkv"
    ):
        load(TINY, source)


@pytest.mark.parametrize(
    ("config", "described", "words"),
    [
        (ViT(), {"architecture": "vit_base_patch16_224_miil"}, "expected one like 'vit_base_patch16_224'"),
        (ViT(size="tiny"), {"architecture": "vit_base_patch16_224"}, "one like 'vit_tiny_patch16_224'"),
        (
            DeiT(distilled=True),
            {"architecture": "deit_base_patch16_224"},
            "'deit_base_distilled_patch16_224'",
        ),
        (DINOv2(), {"architecture": "vit_small_patch14_reg4_dinov2"}, "one like 'vit_small_patch14_dinov2'"),
        (
            ViT(),
            {"layer_norm_eps": 1e-12},
            "layer_norm_eps is 1e-12, the model's norm_eps 1e-06: set it to 1e-12",
        ),
        (ViT(), {"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new', expected 'gelu'"),
        (ViT(), {"hidden_size": 768, "num_attention_heads": 6}, "num_attention_heads is 6, expected 12"),
    ],
)
def test_a_variant_with_the_same_names_is_refused_by_its_config(config, described, words):
    with pytest.raises(UserError, match=f"describes another network: .*{words}"):
        load(config, {"cls_token": np.zeros((1, 1, 768), np.float32)}, {"config.json": described})


def test_variants_that_compute_the_same_are_taken():
    beside = {"config.json": {"architecture": "deit_tiny_patch16_224"}}
    _, _, record = load(ViT(size="tiny"), state_dict("vit_tiny_timm"), beside)
    assert record["layout"] == "timm"
