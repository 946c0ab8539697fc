"""The one list of the families whose pretrained weights can be loaded."""

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.weights import bert, efficientnet, lenet, mobilenetv2, resnet, shufflenet, vit
from jaxlab.weights.family import Family

FAMILIES = (
    bert.FAMILY,
    efficientnet.FAMILY,
    lenet.FAMILY,
    mobilenetv2.FAMILY,
    resnet.FAMILY,
    shufflenet.FAMILY,
    vit.FAMILY,
)


def family_of(config: Component) -> Family:
    """The family of a model's config: its own (`family`, of a class that a user wrote), else that in the list.

    Raises UserError where there is none.
    """
    own = getattr(config, "family", None)
    if isinstance(own, Family):
        return own
    for family in FAMILIES:
        if isinstance(config, family.models):
            return family
    known = ", ".join(model.__name__ for family in FAMILIES for model in family.models)
    raise UserError(
        f"{type(config).__name__} has no pretrained weights but those of a run of jaxlab's; those that have: {known}"
    )
