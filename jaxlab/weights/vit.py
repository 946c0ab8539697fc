"""How timm, torchvision, transformers and DINOv2's authors name the weights of a vision transformer."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlab.models.vit import BLOCKS, OFFSET, SIZES, DeiT, DINOv2, Positions, VisionTransformer, ViT
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout, KeyRule, KeySkip, renamed
from jaxlab.weights.metadata import differing, refuse
from jaxlab.weights.rules import IMAGENET, classifier, conv, layer_norm, linear

STEM = "patch_embed.kernel"  # the leaf that sees the image
HALVES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
WIDTHS = {width: size for size, (width, _) in SIZES.items()}
MASK = "the token of masked patches"
TRANSFORMERS_STEM = "embeddings.patch_embeddings.projection.weight"


def layout(config: VisionTransformer, arrays: dict[str, np.ndarray]) -> KeyLayout:
    """The layout that these arrays' keys have. Of transformers' `arrays`, queries, keys and values are joined."""
    stem = next((key for key in arrays if key.endswith(TRANSFORMERS_STEM)), None)
    if stem is not None:
        _join(arrays)
        return _settling(config, _transformers(config, stem), "transformers")
    if "conv_proj.weight" in arrays:
        return _settling(config, _torchvision(config), "torchvision")
    authors = isinstance(config, DINOv2) and "mask_token" in arrays  # which timm leaves out
    return _settling(config, _timm(config), "dinov2" if authors else "timm")


def _settling(config: VisionTransformer, found: KeyLayout, positions: Positions) -> KeyLayout:
    """With whose way to resize position embeddings the weights are used; an offset that is given is DINOv2's own."""
    given = isinstance(config, DINOv2) and config.position_offset != OFFSET
    return replace(found, settles={"positions": "dinov2" if given else positions})


def _timm(config: VisionTransformer) -> KeyLayout:
    """The names of DeiT's and DINOv2's authors too."""
    block, target = r"blocks\.(\d+)", r"blocks.\1"
    rules = (
        *conv(r"patch_embed\.proj", "patch_embed", bias=True),
        *(KeyRule(name, name) for name in ("cls_token", "dist_token", "pos_embed")),
        *layer_norm(rf"{block}\.norm1", f"{target}.norm1"),
        *linear(rf"{block}\.attn\.qkv", f"{target}.attn.qkv"),
        *linear(rf"{block}\.attn\.proj", f"{target}.attn.proj"),
        KeyRule(rf"{block}\.ls([12])\.gamma", rf"{target}.scale\2"),
        *layer_norm(rf"{block}\.norm2", f"{target}.norm2"),
        *linear(rf"{block}\.mlp\.fc([12])", rf"{target}.fc\2"),
        *layer_norm("norm", "norm"),
    )
    heads = [classifier("head", "head", config.classes)]
    if config.prefix == 2:
        heads.append(classifier("head_dist", "head_dist", config.classes))
    side = config.image_size
    prepared = (HALVES if isinstance(config, ViT) else IMAGENET) | {
        "interpolation": "bicubic",
        "crop_fraction": 0.9 if side == 224 else 1.0,
        "size": side,
    }
    skips = (KeySkip("mask_token", MASK),)
    return _with_classifiers("timm", rules, heads, skips, "patch_embed.proj.weight", prepared)


def _torchvision(config: VisionTransformer) -> KeyLayout:
    """Its published files name the perceptron's layers linear_1 and linear_2, its models mlp.0 and mlp.3."""
    block, target = r"encoder\.layers\.encoder_layer_(\d+)", r"blocks.\1"
    rules = (
        *conv("conv_proj", "patch_embed", bias=True),
        KeyRule("class_token", "cls_token"),
        KeyRule(r"encoder\.pos_embedding", "pos_embed"),
        *layer_norm(rf"{block}\.ln_([12])", rf"{target}.norm\2"),
        KeyRule(rf"{block}\.self_attention\.in_proj_weight", f"{target}.attn.qkv.kernel", np.transpose),
        KeyRule(rf"{block}\.self_attention\.in_proj_bias", f"{target}.attn.qkv.bias"),
        *linear(rf"{block}\.self_attention\.out_proj", f"{target}.attn.proj"),
        *linear(rf"{block}\.mlp\.(?:0|linear_1)", f"{target}.fc1"),
        *linear(rf"{block}\.mlp\.(?:3|linear_2)", f"{target}.fc2"),
        *layer_norm(r"encoder\.ln", "norm"),
    )
    heads = [classifier(r"heads\.head", "head", config.classes)]
    prepared = IMAGENET | {"interpolation": "bilinear", "crop_fraction": 0.875, "size": config.image_size}
    return _with_classifiers("torchvision", rules, heads, (), "conv_proj.weight", prepared)


def _transformers(config: VisionTransformer, stem: str) -> KeyLayout:
    """Files have one set of names, models of transformers 5 another; without a classifier there is no prefix."""
    prefix = re.escape(stem.removesuffix(TRANSFORMERS_STEM))
    embeddings = rf"{prefix}embeddings"
    block, target = rf"{prefix}(?:encoder\.layer|layers)\.(\d+)", r"blocks.\1"
    rules = (
        *conv(rf"{embeddings}\.patch_embeddings\.projection", "patch_embed", bias=True),
        KeyRule(rf"{embeddings}\.cls_token", "cls_token"),
        KeyRule(rf"{embeddings}\.distillation_token", "dist_token"),
        KeyRule(rf"{embeddings}\.position_embeddings", "pos_embed"),
        *layer_norm(rf"{block}\.(?:norm1|layernorm_before)", f"{target}.norm1"),
        *linear(rf"{block}\.attention\.qkv", f"{target}.attn.qkv"),
        *linear(rf"{block}\.attention\.(?:output\.dense|o_proj)", f"{target}.attn.proj"),
        KeyRule(rf"{block}\.layer_scale([12])\.lambda1", rf"{target}.scale\2"),
        *layer_norm(rf"{block}\.(?:norm2|layernorm_after)", f"{target}.norm2"),
        *linear(rf"{block}\.(?:intermediate\.dense|mlp\.fc1)", f"{target}.fc1"),
        *linear(rf"{block}\.(?:output\.dense|mlp\.fc2)", f"{target}.fc2"),
        *layer_norm(rf"{prefix}layernorm", "norm"),
    )
    heads = [classifier("classifier", "head", config.classes)]
    if config.prefix == 2:
        plain = heads if not config.classes else []  # a DeiTForImageClassification serves as a backbone
        heads = [*plain, classifier("cls_classifier", "head", config.classes)]
        heads.append(classifier("distillation_classifier", "head_dist", config.classes))
    skips = (
        KeySkip(rf"{embeddings}\.mask_token", MASK),
        KeySkip(rf"{prefix}pooler\.dense\.(weight|bias)", "the pooler, which no classifier reads"),
    )
    whole = HALVES | {"interpolation": "bilinear", "crop_fraction": 1.0, "size": config.image_size}
    side = 224 if isinstance(config, DINOv2) else config.image_size
    cropped = IMAGENET | {"interpolation": "bicubic", "crop_fraction": 0.875, "size": side}
    prepared = whole if isinstance(config, ViT) else cropped
    return _with_classifiers("transformers", rules, heads, skips, stem, prepared)


def _with_classifiers(
    name: str,
    rules: tuple[KeyRule, ...],
    heads: list[tuple[tuple[KeyRule, ...], tuple[KeySkip, ...]]],
    skips: tuple[KeySkip, ...],
    stem: str,
    prepared: Mapping[str, Any],
) -> KeyLayout:
    loaded = [rule for last, _ in heads for rule in last]
    left = [skip for _, left in heads for skip in left]
    return KeyLayout(name, (*rules, *loaded), (*skips, *left), stem, preprocessing=prepared)


def _join(arrays: dict[str, np.ndarray]) -> None:
    """Queries, keys and values of a block that are all there become one array, in this order, as timm has them."""
    separate = r"(.*?\.attention\.)(?:attention\.)?(?:(query|key|value)|([qkv])_proj)\.(weight|bias)"
    found: dict[str, dict[str, str]] = {}
    for key in arrays:
        if m := re.fullmatch(separate, key):
            found.setdefault(f"{m[1]}qkv.{m[4]}", {})[(m[2] or m[3])[0]] = key
    for joined, keys in found.items():
        if len(keys) == 3 and len({arrays[key].shape for key in keys.values()}) == 1:
            arrays[joined] = np.concatenate([arrays.pop(keys[part]) for part in "qkv"])


# -- what does not fit ---------------------------------------------------------------------------------------


def hint(config: VisionTransformer, arrays: Mapping[str, np.ndarray], found: KeyLayout) -> str:
    """What the file seems to hold, where that is another size or family, or no vision transformer at all."""
    if any(key.endswith(("reg_token", "register_tokens")) for key in arrays):
        return "The file has register tokens, which jaxlab's models have not"
    shapes = {path: arrays[key].shape for key, path in renamed(arrays, found.rules).items()}
    blocks = len({path.split(".")[1] for path in shapes if path.startswith("blocks.")})
    kernel, positions = shapes.get(STEM, ()), shapes.get("pos_embed", ())
    if not blocks or len(kernel) != 4 or len(positions) != 3:
        return "The file does not look like a vision transformer"
    width, patch = kernel[0], kernel[-1]
    distilled, scaled = "dist_token" in shapes, "blocks.0.scale1" in shapes
    if width not in WIDTHS or blocks != BLOCKS or patch != (14 if scaled else 16):
        return (
            f"The file looks like a vision transformer with {blocks} blocks of width {width}, patches of {patch} pixels"
            f"{' and LayerScale' * scaled}, which jaxlab has not"
        )
    side = round(max(positions[1] - 1 - distilled, 0) ** 0.5) * patch
    kind = "DINOv2" if scaled else "DeiT" if distilled or isinstance(config, DeiT) else "ViT"
    seen = _described(kind, WIDTHS[width], side, distilled)
    own = _described(type(config).__name__, config.size, config.image_size, config.prefix == 2)
    if seen != own:
        return f"The file looks like {seen}, the config is {own}"
    return _about_classifier(config, arrays)


def _described(kind: str, size: str, side: int, distilled: bool) -> str:
    return f"{kind}(size={size!r}, image_size={side}{', distilled=True' * distilled})"


def _about_classifier(config: VisionTransformer, arrays: Mapping[str, np.ndarray]) -> str:
    if not config.classes:
        return ""
    width = SIZES[config.size][0]
    if isinstance(config, DINOv2) and getattr(arrays.get("head.weight"), "shape", (0, 0))[-1] == width:
        return "The file's classifier reads the class token alone; classes=0 loads the rest"
    if config.prefix == 2 and "classifier.weight" in arrays:
        return "The file has no classifier of the distillation token; classes=0 loads the rest"
    return ""


def check_metadata(config: VisionTransformer, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse variants that share names and shapes but compute something else. Raises UserError."""
    described = metadata.get("config.json", {})
    width, heads = SIZES[config.size]
    problems = []
    architecture = described.get("architecture")  # timm's
    plain, example = _architectures(config)
    if architecture is not None and not re.fullmatch(plain, architecture):
        problems.append(f"architecture is {architecture!r}, expected one like {example!r}")
    expected = {"hidden_act": ("gelu",), "use_swiglu_ffn": (False,)}  # transformers' from here on
    if described.get("hidden_size") == width:
        expected["num_attention_heads"] = (heads,)
    problems += differing(described, expected)
    eps = described.get("layer_norm_eps", config.norm_eps)
    if eps != config.norm_eps:
        problems.append(
            f"layer_norm_eps is {eps!r}, the model's norm_eps {config.norm_eps!r}: set it to {eps!r}"
        )
    refuse(about, problems)


def _architectures(config: VisionTransformer) -> tuple[str, str]:
    """A pattern of timm's names for this network, and an example."""
    if isinstance(config, DINOv2):
        return f"vit_{config.size}_patch14_dinov2", f"vit_{config.size}_patch14_dinov2"
    if config.prefix == 2:
        return rf"deit_{config.size}_distilled_patch16_\d+", f"deit_{config.size}_distilled_patch16_224"
    family = type(config).__name__.lower()
    return rf"(vit|deit)_{config.size}_patch16_\d+(_in21k|_sam|_dino)?", f"{family}_{config.size}_patch16_224"


FAMILY = Family(
    name="vit",
    models=(DINOv2, DeiT, ViT),
    layout=layout,
    stem=STEM,
    classifier="head",
    hint=hint,
    check_metadata=check_metadata,
)
