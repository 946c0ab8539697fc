"""How transformers names the weights of a BERT."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.models.bert import Bert
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout, KeyRule, KeySkip
from jaxlab.weights.metadata import differing, refuse
from jaxlab.weights.rules import linear

WORDS = "embeddings.word_embeddings.weight"
# Where the layers of one of transformers' blocks stand, and what they are here.
LINEAR = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "proj",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
}
NORMS = {"attention.output.LayerNorm": "norm1", "output.LayerNorm": "norm2"}
SKIPS = (
    KeySkip(r".*\bpooler\..*", "the pooler, of next-sentence prediction alone"),
    KeySkip(r"(cls|classifier|qa_outputs)\..*", "the file's classifier"),
    KeySkip(r".*\bembeddings\.position_ids", "the numbers of the positions"),
)
# What a config.json must say, where it says anything, for the same computation: names and shapes do not show it.
COMPUTED = {
    "model_type": ("bert",),
    "hidden_act": ("gelu",),
    "layer_norm_eps": (1e-12,),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
}


def layout(config: Bert, keys: Iterable[str]) -> KeyLayout:
    """transformers', with the prefix that a BERT has within a larger model (`bert.`), or without."""
    words = next((key for key in keys if key.endswith(WORDS)), WORDS)
    prefix = re.escape(words.removesuffix(WORDS))
    embeddings, block = rf"{prefix}embeddings", rf"{prefix}encoder\.layer\.(\d+)"
    rules = [
        KeyRule(rf"{embeddings}\.word_embeddings\.weight", "words.embedding"),
        KeyRule(rf"{embeddings}\.position_embeddings\.weight", "positions.embedding"),
        KeyRule(rf"{embeddings}\.token_type_embeddings\.weight", "types.embedding"),
        *_norm(rf"{embeddings}\.LayerNorm", "norm"),
    ]
    for theirs, ours in LINEAR.items():
        rules += linear(rf"{block}\.{re.escape(theirs)}", rf"layers.\1.{ours}")
    for theirs, ours in NORMS.items():
        rules += _norm(rf"{block}\.{re.escape(theirs)}", rf"layers.\1.{ours}")
    return KeyLayout("transformers", tuple(rules), SKIPS, None)


def _norm(pattern: str, target: str) -> tuple[KeyRule, ...]:
    """Files that began in TensorFlow, bert-base-uncased among them, say gamma and beta."""
    return (
        KeyRule(rf"{pattern}\.(?:weight|gamma)", f"{target}.scale"),
        KeyRule(rf"{pattern}\.(?:bias|beta)", f"{target}.bias"),
    )


def hint(config: Bert, arrays: Mapping[str, Any], found: KeyLayout) -> str:
    """What the file seems to hold, where that is a BERT of another size or none at all."""
    words = next((array for key, array in arrays.items() if key.endswith(WORDS) and array.ndim == 2), None)
    if words is None:
        return "The file does not look like a BERT of transformers"
    numbers = [int(m[1]) for key in arrays if (m := re.search(r"encoder\.layer\.(\d+)\.", key))]
    seen = {
        "layers": max(numbers, default=-1) + 1,
        "width": words.shape[1],
        "vocabulary": words.shape[0],
    }
    wrong = {name: value for name, value in seen.items() if value != getattr(config, name)}
    sides = [
        "Bert(" + ", ".join(f"{k}={v}" for k, v in side.items()) + ")" for side in (wrong, _of(config, wrong))
    ]
    return f"The file looks like {sides[0]}, the config is {sides[1]}" if wrong else ""


def _of(config: Bert, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in names}


def check_metadata(config: Bert, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse what has a BERT's names and shapes but computes something else. Raises UserError."""
    described = metadata.get("config.json", {})
    expected = COMPUTED | {"num_attention_heads": (config.heads,)}
    refuse(about, differing(described, expected))


FAMILY = Family(
    name="bert",
    models=(Bert,),
    layout=layout,
    stem=None,
    classifier=None,
    hint=hint,
    check_metadata=check_metadata,
)
