"""Every family in every layout and size that a golden was made of: of each that sees images, the module of its name."""

from importlib import import_module

from jaxlab.weights import FAMILIES

CASES = [
    case
    for family in FAMILIES
    if family.stem is not None
    for case in import_module(f"reference.cases.{family.name}").CASES
]
