"""What a head on embeddings of answers needs to learn at all: accuracy and loss by epoch, on simulated features.

    python tools/cosine_answers.py

1,000 answers, as frequent as 1 / rank ** 1.1; vectors that share most of their direction, as those of a language model
do (their mean cosine is 0.8); 40,000 samples to learn from and 4,000 to validate on, whose 256 features are those of
their answer and noise. A minute on two cores.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxlab.core.types import EVALUATION
from jaxlab.heads import AnswerVectors, CosineAnswers, Head, Linear
from jaxlab.nn.fixed import Fixed

ANSWERS, SIZE, FEATURES, SAMPLES, VALIDATION = 1000, 384, 256, 40_000, 4_000
EPOCHS, BATCH = 4, 128
RNG = np.random.default_rng(0)
VECTORS = (2.0 * RNG.normal(size=SIZE) + RNG.normal(size=(ANSWERS, SIZE))).astype(np.float32)


class SimulatedVectors(AnswerVectors):
    """The vectors above."""

    size = SIZE

    def of(self, answers: tuple[str, ...]) -> np.ndarray:
        return VECTORS


def data() -> tuple[np.ndarray, np.ndarray]:
    """Features and answers."""
    share = np.arange(1, ANSWERS + 1) ** -1.1
    truth = RNG.choice(ANSWERS, SAMPLES + VALIDATION, p=share / share.sum())
    prototypes = 0.5 * RNG.normal(size=(ANSWERS, FEATURES))
    return (prototypes[truth] + RNG.normal(size=(len(truth), FEATURES))).astype(np.float32), truth


def course(head: Head, rate: float, features: np.ndarray, truth: np.ndarray) -> list[str]:
    """Accuracy and loss in validation after each epoch, by AdamW with warm-up and a cosine."""
    shapes = {"fused": jax.ShapeDtypeStruct((1, FEATURES), "float32")}
    module = head.build(shapes, tuple(map(str, range(ANSWERS))), nnx.Rngs(0))
    if isinstance(head, CosineAnswers):
        module.answers[...] = jnp.asarray(VECTORS)  # type: ignore[attr-defined]
    graphdef, fixed, params, rest = nnx.split(module, Fixed, nnx.Param, ...)
    steps = SAMPLES // BATCH
    optimizer = optax.adamw(
        optax.warmup_cosine_decay_schedule(0.0, rate, 100, EPOCHS * steps), weight_decay=0.01
    )

    def outputs(params: nnx.State, x: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, fixed, params, rest)({"fused": x}, EVALUATION)

    def loss(params: nnx.State, x: jax.Array, y: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(params, x), y).mean()

    @jax.jit
    def update(params: nnx.State, state: optax.OptState, x: jax.Array, y: jax.Array) -> tuple:
        updates, state = optimizer.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, updates), state

    held, answers = jnp.asarray(features[SAMPLES:]), jnp.asarray(truth[SAMPLES:])
    score = jax.jit(
        lambda params: ((outputs(params, held).argmax(1) == answers).mean(), loss(params, held, answers))
    )
    state, found = optimizer.init(params), []
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(SAMPLES)
        for rows in order[: steps * BATCH].reshape(steps, BATCH):
            params, state = update(params, state, features[rows], truth[rows])
        found.append("{:.3f} {:.2f}".format(*map(float, score(params))))
    return found


def main() -> None:
    """A line for each head and rate."""
    cosine = partial(CosineAnswers, answers=SimulatedVectors(), centred=False)
    heads = {
        "linear": Linear(),
        "cosine as it is": cosine(scale=1.0, learned=False),
        "product, of any length": cosine(scale=1.0, learned=False, unit=False),
        "cosine, learned scale": cosine(),
        "cosine, scale 14.3, centred": cosine(learned=False, centred=True),
        "cosine, learned scale, centred": cosine(centred=True),
    }
    features, truth = data()
    print("head | rate | " + " | ".join(f"epoch {k + 1}: accuracy, loss" for k in range(EPOCHS)))
    for rate in (1e-3, 1e-4):
        for name, head in heads.items():
            print(" | ".join([name, f"{rate:g}", *course(head, rate, features, truth)]), flush=True)


if __name__ == "__main__":
    main()
