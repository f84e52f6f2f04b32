"""What a plan of a table's run is made of: test sets, and fields that say in words how they depart from the paper's."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields

from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.recipe import Recipe


@dataclass(frozen=True)
class TestSet:
    """A named collection to evaluate on; ``side`` takes the central crop of that many px (0: whole pictures)."""

    name: str
    collection: str
    side: int = 0


def recipe_for(network: str, scale: int, recipes: Mapping[int, Mapping]) -> Recipe | AdversarialRecipe:
    """The recipe of a student; ``recipes`` by scale and name. Raises ValueError, naming what there is, if there is none."""
    if network not in recipes.get(scale, {}):
        known = [f"{name} x{s}" for s, found in recipes.items() for name in found]
        raise ValueError(f"there is no recipe for {network} x{scale}; there are: {', '.join(known)}")
    return recipes[scale][network]


def departures(ours, theirs, table: str, skipped: frozenset[str] = frozenset()) -> list[str]:
    """How one dataclass departs from another in what ``table`` depends on (empty: any), one sentence per field.

    Fields have ``about`` in their metadata, and ``tables`` where they matter to some only.
    """
    lines = []
    for item in fields(ours):
        mine, paper = getattr(ours, item.name), getattr(theirs, item.name)
        if item.name not in skipped and _matters(item, table) and mine != paper:
            lines.append(f"{item.metadata['about']}: {_words(mine)} (paper: {_words(paper)})")
    return lines


def _matters(item: Field, table: str) -> bool:
    return not table or table in item.metadata.get("tables", (table,))


def _words(value) -> str:
    if isinstance(value, dict):
        nested = dict | tuple | Recipe | AdversarialRecipe | ClassificationRecipe
        words = "; ".join(f"{name} {_words(entry)}" if isinstance(entry, nested) else f"{name} {entry}"
                          for name, entry in value.items())  # fmt: skip
        return words or "as published"
    if isinstance(value, Recipe):
        extra = f", clip {value.clip_norm}" if value.clip_norm else ""
        return (f"{value.iterations} x {value.batch} crops of {value.patch} px, {value.loss}, lr {value.lr:g} "
                f"{value.schedule}{extra}, {value.precision}")  # fmt: skip
    if isinstance(value, AdversarialRecipe):
        losses = f"L1 {value.l1_weight:g}, perceptual {value.perceptual_weight:g}, GAN {value.gan_weight:g}"
        return (f"{value.warm_up} + {value.iterations} x {value.batch} crops of {value.patch} px, {losses}, "
                f"lr {value.lr:g}, {value.precision}")  # fmt: skip
    if isinstance(value, ClassificationRecipe):
        return (f"{value.epochs} epochs, batch {value.batch}, lr {value.lr:g} {value.schedule}, T {value.temperature:g}, "
                f"{value.precision}")  # fmt: skip
    if isinstance(value, tuple):
        return ", ".join(
            t.name + (f" (central {t.side} px)" if t.side else "") if isinstance(t, TestSet) else str(t) for t in value
        )
    return str(value)
