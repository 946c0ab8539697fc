"""The pages of what a config can name, made from the code: each component with its fields, types and defaults.

python -m docsite.components FOLDER      # with tools/ on the path; `make docs` does it
"""

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from docsite.docstrings import Code, Paragraph, Said, blocks, names_of
from jaxlab.core import config
from jaxlab.core.component import readable

# The rooms whose names a config imports, and what their pages are called.
ROOMS = {
    "jaxlab.experiment": "Experiments",
    "jaxlab.data": "Data",
    "jaxlab.models": "Networks",
    "jaxlab.heads": "Readouts",
    "jaxlab.losses": "Losses",
    "jaxlab.pretext": "Pretext tasks",
    "jaxlab.optim": "Optimizers and fine-tuning",
    "jaxlab.evaluate": "Prediction",
    "jaxlab.encode": "Features and ridge regression",
}
# Lines for those that say more than their bare call; a docstring's own indented `Name(...)` comes before.
EXAMPLES = {
    "Ablation": "experiment = Ablation(experiment=Experiment(), off={'decay': ('optimizer.weight_decay=0.0',)})",
    "AnswerGate": 'head = AnswerGate(head=Linear(), by="answer_type")',
    "Attention": 'head = Attention(layer=("block8", "map", "cls"), queries=("lh.*", "rh.*"))',
    "Algonauts": 'data = Algonauts(root="subj01", hemispheres=("lh",), rois=("V1v", "V1d"))',
    "Arrays": 'data = Arrays(root="recording.npz")',
    "CachedFeatures": "data = CachedFeatures(data=KaggleTable(), encoders=(encoder,))",
    "Choice": "space = Choice(18, 34)",
    "ColumnSplit": 'split = ColumnSplit(column="tier", validation="validation")',
    "Contrast": "pretext = Contrast(dimensions=64)",
    "Crop": "augment = (Crop(pixels=8), Flip())",
    "CosineAnswers": "head = CosineAnswers(answers=RandomVectors(width=64))",
    "CrossEntropy": "loss = CrossEntropy(label_smoothing=0.1, class_weight_strength=0.5)",
    "EfficientNet": 'model = EfficientNet(variant="lite0", convention="tensorflow", pretrained="weights.pth")',
    "Experiment": 'experiment = Experiment(data=KaggleTable(root="FOLDER"), images=Images(size=(56, 56)))',
    "Factorized": 'head = Factorized(layer="level3", l1_mask=1e-3)',
    "FineTune": 'finetune = FineTune(rules=(Freeze(through="stem"),), layer_decay=0.8)',
    "Folds": "experiment = Folds(experiment=Experiment(), folds=5)",
    "Freeze": 'rule = Freeze(pattern=r"^backbone\\.", until_epoch=5)',
    "Fusion": 'fusion = Fusion(how="attention", image="image/level3", text="text/words")',
    "Gaussian": 'head = Gaussian(layer="layer2", covariance="isotropic")',
    "Gestures": "data = Gestures(images=500, size=32, imbalance=4.0)",
    "GroupedSplit": 'split = GroupedSplit(column="subject")',
    "ImageAndText": "model = ImageAndText(image=ShallowCNN(), text=BagOfWords(width=64))",
    "ImageEncoder": 'encoder = ImageEncoder(model=ResNet(), images=Images(size=(64, 64)), layers=("layer1", "layer2"))',
    "Images": 'images = Images(size=(224, 224), policy="crop", filter="bicubic")',
    "Inference": "inference = Inference(tta=TTA(shift=3))",
    "Int": "space = Int(8, 64)",
    "KFold": "split = KFold(folds=5, fold=0)",
    "KaggleOrSimulated": "data = KaggleOrSimulated(simulated=Gestures())",
    "KaggleTable": 'data = KaggleTable(root="FOLDER", targets=("n0", "n1"))',
    "Decoder": "head = Decoder(channels=(64, 32), bottleneck=128)",
    "ImageTree": 'data = ImageTree(root="FOLDER")',
    "Jigsaw": "pretext = Jigsaw(grid=3, permutations=64)",
    "Masked": "pretext = Masked(patch=8, ratio=0.6)",
    "Unlabelled": 'data = Unlabelled(data=KaggleTable(root="FOLDER"))',
    "Linear": 'head = Linear(layer=("level2", "level3"), dropout=0.5)',
    "Focal": "loss = Focal(gamma=2.0)",
    "Log": "space = Log(1e-5, 1e-2)",
    "LogitAdjusted": "loss = LogitAdjusted(tau=1.0)",
    "LowRank": "head = LowRank(rank=32)",
    "Objective": 'objective = Objective(loss=CrossEntropy(), of="category", weight=0.3)',
    "PerROI": 'head = PerROI(parts=(ROI(name="V1", targets="V1.*", head=Linear()), ROI(name="V4", targets="V4.*", '
    "head=Linear())))",
    "ROI": 'part = ROI(name="V1", targets="V1.*", head=Linear())',
    "Rate": 'rule = Rate(pattern="norm", factor=0.1)',
    "Refine": 'refine = Refine(adapts="statistics")',
    "Rates": 'head = Rates(head=Factorized(layer="level3"))',
    "RetinaMap": 'head = RetinaMap(layer=("layer2", "layer3", "layer4"), coordinates="sphere.csv")',
    "ResNet": "model = ResNet(depth=50, blur=True)",
    "Ridge": "experiment = Ridge(encoders=(encoder,))",
    "Search": "experiment = Search(experiment=Experiment(), space={'optimizer.lr': Log(1e-5, 1e-2)}, trials=40)",
    "Seeds": "experiment = Seeds(experiment=Experiment(), seeds=20)",
    "Sensorium": 'data = Sensorium(root="static21067-10-18")',
    "Shared": 'head = Shared(head=Factorized(layer="level3"), components=32, rank=4)',
    "ShallowCNN": "model = ShallowCNN(channels=(32, 64), kernel_sizes=(7, 3))",
    "Simulated": "data = Simulated(images=500, neurons=20, size=32)",
    "Squashed": "head = Squashed(head=Linear())",
    "SmoothL1": "loss = SmoothL1(beta=0.01)",
    "Sum": 'head = Sum(heads=(Linear(layer="level1"), Linear(layer="level2")))',
    "Step": "schedule = Step(epochs=10, factor=0.1)",
    "Teacher": 'teacher = Teacher(predictions="predictions.npz")',
    "TextAnswers": 'answers = TextAnswers(model=Bert(), tokenizer=Tokenizer(source="MiniLM"))',
    "TextEncoder": 'encoder = TextEncoder(model=Bert(), tokenizer=Tokenizer(source="MiniLM"), column="caption")',
    "Tokenizer": 'tokenizer = Tokenizer(source="all-MiniLM-L6-v2")',
    "TTA": "tta = TTA(shift=3, mirror=True)",
    "Training": "training = Training(epochs=40, batch_size=50, ema=0.99)",
    "Uniform": "space = Uniform(0.0, 0.8)",
    "WeightedSum": "loss = WeightedSum(losses=(Mse(), NegativePearson()), weights=(1.0, Ramp(end=0.1, epochs=20)))",
    "WithMasks": 'data = WithMasks(source=KaggleTable(), masks="masks", classes=3)',
}  # fmt: skip
Class = type[config.Component]


def public() -> dict[str, Class]:
    """{name: class} of every component that a config can name."""
    for name in ROOMS:
        importlib.import_module(name)
    return {
        name: cls
        for name, cls in sorted(config.Component.types.items())
        if not name.startswith("_") and cls.__module__.startswith("jaxlab.") and not _shared(cls)
    }


def _shared(cls: Class) -> bool:
    """Whether it is only what others have in common: no room offers it, and other classes build on it."""
    return home(cls) not in ROOMS and bool(cls.__subclasses__())


def home(cls: Class) -> str:
    """The module that a config imports it from: the room that offers it, else the one where it is written."""
    offering = (room for room in ROOMS if getattr(importlib.import_module(room), cls.__name__, None) is cls)
    return next(iter(sorted(offering, key=lambda room: not cls.__module__.startswith(room))), cls.__module__)


def room(cls: Class) -> str:
    """The page that it stands on."""
    return next(
        (r for r in (home(cls), cls.__module__.rpartition(".")[0]) if r in ROOMS),
        "jaxlab." + cls.__module__.split(".")[1],
    )


def base(cls: Class) -> Class:
    """What it is a kind of: the first below Component."""
    return cls.__mro__[-3] if cls.__mro__[-2] is config.Component else cls


def example(cls: Class) -> str:
    """A line that makes one: of the docstring, of EXAMPLES, or the bare call."""
    own = [
        block.text for block in described(cls) if isinstance(block, Code) and f"{cls.__name__}(" in block.text
    ]
    return next(iter(own), EXAMPLES.get(cls.__name__, f"{cls.__name__}()"))


def described(cls: Class) -> list[Any]:
    """The blocks of its own docstring; none where dataclasses made one up."""
    doc = inspect.getdoc(cls) if cls.__dict__.get("__doc__") else None
    return blocks(doc, names_of(cls)) if doc and not doc.startswith(f"{cls.__name__}(") else []


def fields(cls: Class) -> Iterator[tuple[str, str, str, str]]:
    """(name, type, ` = default`, what it is) of each; what a base says counts, the nearest first."""
    hints = get_type_hints(cls, include_extras=True)
    said = {
        name: block.text
        for one in reversed(cls.__mro__[:-2])
        for block in described(one)
        if isinstance(block, Said)
        for name in block.names
    }
    for field in dataclasses.fields(cls):
        value = _default(field)
        default = "" if value is dataclasses.MISSING else f" = {short(value)}"
        yield field.name, _type(hints[field.name]), default, said.get(field.name, "")


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _type(hint: Any) -> str:
    text = readable(hint).replace("Annotated[str, a path]", "path")
    return re.sub(r"Optional\[(.*)\]", r"\1 | None", text)


def short(value: Any) -> str:
    """A component with those fields alone that are not as they would be."""
    if isinstance(value, config.Component):
        set_here = (
            f"{field.name}={short(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != _default(field)
        )
        return f"{type(value).__name__}({', '.join(set_here)})"
    return repr(value)


def layers(cls: Class) -> str:
    """What a network says of the layers that it names, if it does."""
    made = getattr(cls, "build", None)
    name = inspect.signature(made).return_annotation if made else None
    module = getattr(sys.modules[cls.__module__], name, None) if isinstance(name, str) else None
    doc = inspect.getdoc(module) if module is not None and "__doc__" in vars(module) else None
    return " ".join(doc.split()) if doc and "eature" in doc else ""


# -- Markdown ------------------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """{file name: Markdown} of each room's page."""
    by_room = {name: [cls for cls in public().values() if room(cls) == name] for name in ROOMS}
    return {"index.md": _index(by_room)} | {
        f"{_file(name)}.md": _page(name, classes) for name, classes in by_room.items()
    }


def _file(name: str) -> str:
    return name.rpartition(".")[2]


def _index(by_room: dict[str, list[Class]]) -> str:
    """Every name with the page that it stands on."""
    lines = [
        "# Components",
        "",
        "All that a config can name, made from the code.",
        "",
        "| page | names |",
        "|---|---|",
    ]
    for name, classes in by_room.items():
        links = ", ".join(f"[{cls.__name__}](#{_label(cls)})" for cls in classes)
        lines.append(f"| [{ROOMS[name]}]({_file(name)}.md) | {links} |")
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *map(_file, by_room), "```", ""])


def _page(name: str, classes: list[Class]) -> str:
    summary = (inspect.getdoc(importlib.import_module(name)) or "").splitlines()[0]
    parts = [f"# {ROOMS[name]}", summary, f"`from {name} import ...`"]
    kinds = dict.fromkeys(base(cls) for cls in classes)
    several = [kind for kind in kinds if any(base(cls) is kind is not cls for cls in classes)]
    for kind in [*several, *(kind for kind in kinds if kind not in several)]:
        members = [cls for cls in classes if base(cls) is kind and cls is not kind]
        if members:
            label = f"({_label(kind)})=\n" if room(kind) == name else ""
            parts += [f"{label}## {kind.__name__}{_written(kind)}", *_text(kind)]
        for cls in members or [kind]:
            parts += _component(cls, "###" if members else "##", home(cls) if home(cls) != name else None)
    return "\n\n".join(parts) + "\n"


def _label(cls: Class) -> str:
    """What links to it name: its own name may be one of Sphinx's, as that of the page that searches."""
    return f"component-{cls.__name__}"


def _written(kind: Class) -> str:
    """Where in an experiment one of this kind stands."""
    places = [
        f"`{prefix}{name}=`"
        for prefix, owner in (("", "Experiment"), ("optimizer.", "Optimizer"), ("encoders.", "Encoder"))
        for name, hint in get_type_hints(config.Component.types[owner], include_extras=True).items()
        if kind in _parts(hint)
    ]
    return ": written " + " or ".join(places) if places else ""


def _parts(hint: Any) -> set[Any]:
    inside = get_args(hint)
    return set().union(*map(_parts, inside)) if inside else {hint}


def _component(cls: Class, level: str, elsewhere: str | None) -> list[str]:
    parts = [f"({_label(cls)})=\n{level} {cls.__name__}", *_text(cls)]
    if elsewhere:
        parts.append(f"`from {elsewhere} import {cls.__name__}`")
    parts.append(f"```python\n{example(cls)}\n```")
    if about := layers(cls):
        parts.append(f"Layers: {_cell(about)}")
    if rows := list(fields(cls)):
        table = ["| field | |", "|---|---|"]
        table += [
            f"| {_code(f'{name}: {kind}{default}')} | {_cell(about)} |" for name, kind, default, about in rows
        ]
        parts.append("\n".join(table))
    return parts


def _text(cls: Class) -> list[str]:
    """Its paragraphs: what is said of fields stands in the table."""
    return [_cell(block.text) for block in described(cls) if isinstance(block, Paragraph)]


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    """Prose in Markdown: outside `code`, nothing is markup."""
    parts = text.split("`")
    for k in range(0, len(parts), 2):
        parts[k] = "".join(f"\\{c}" if c in "*_<|[]{}$~" else c for c in parts[k])
    for k in range(1, len(parts), 2):
        parts[k] = parts[k].replace("|", "\\|")
    return "`".join(parts)


def write(folder: Path) -> None:
    """Write every page, where it says something new: Sphinx reads again what changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
