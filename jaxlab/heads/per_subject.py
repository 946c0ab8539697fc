"""A readout for each of several subjects, on one network."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flax import nnx

from jaxlab.core.subjects import SEPARATOR, subjects_in
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.heads.base import FeatureShapes, Head, refuse_transforms
from jaxlab.heads.combine import PerROIModule
from jaxlab.heads.linear import Linear


@dataclass(frozen=True, kw_only=True)
class PerSubject(Head):
    """A head for each subject of `Pooled` data, for that subject's targets; all read the same network.

    In training each reads every image of a batch, its own subject's or not; a subject's predictions compute its own.
    head: of every subject, with parameters of its own. heads: of some subjects, by name, in its place.
    """

    head: Head = Linear()
    heads: dict[str, Head] = field(default_factory=dict, hash=False)

    def check(self) -> None:
        refuse_transforms("PerSubject.head", self.head)
        for name, head in self.heads.items():
            refuse_transforms(f"PerSubject.heads.{name}", head)

    def of(self, subject: str) -> Head:
        """What reads for one."""
        return self.heads.get(subject, self.head)

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> PerROIModule:
        columns = self._columns(targets)
        modules = {
            subject: self.of(subject).build(features, tuple(targets[k] for k in own), rngs)
            for subject, own in columns.items()
        }
        return PerROIModule(modules, list(columns.values()))

    def check_targets(self, targets: tuple[str, ...]) -> None:
        for subject, own in self._columns(targets).items():
            self.of(subject).check_targets(tuple(targets[k] for k in own))

    def _columns(self, targets: Sequence[str]) -> dict[str, list[int]]:
        if nameless := [name for name in targets if SEPARATOR not in name]:
            raise UserError(
                f"PerSubject: expected targets SUBJECT/TARGET, as data=Pooled(...) has them, found "
                f"{examples(nameless)}; of one subject's data use the head alone"
            )
        columns = subjects_in(targets)
        if unknown := [name for name in self.heads if name not in columns]:
            raise UserError(
                f"PerSubject.heads: no subject {examples(unknown)}; the data have {examples(columns, 20)}"
            )
        return columns
