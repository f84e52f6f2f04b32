"""What a plan of a table's run is made of: test sets, and fields that say in words how they depart from the paper's."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass

from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.recipe import Recipe

_IN_ONE_LINE = Recipe | AdversarialRecipe | ClassificationRecipe


@dataclass(frozen=True)
class TestSet:
    """A named collection to evaluate on; ``side`` takes the central crop of that many px (0: whole pictures). ``optional``:
    where it is not at hand and nobody offers it, a table has one column less and says so."""

    name: str
    collection: str
    side: int = 0
    optional: bool = False
    # No class of tests, whatever its name makes pytest think.
    __test__ = False


def recipe_for(network: str, scale: int, recipes: Mapping[int, Mapping]) -> Recipe | AdversarialRecipe:
    """The recipe of a student; ``recipes`` by scale and name. Raises ValueError, naming what there is, if there is none."""
    if network not in recipes.get(scale, {}):
        known = [f"{name} x{s}" for s, found in recipes.items() for name in found]
        raise ValueError(f"there is no recipe for {network} x{scale}; there are: {', '.join(known)}")
    return recipes[scale][network]


# Where the paper profile has a setting from. Only the first is called the paper's.
PRINTED, CITED, OURS = "printed", "cited code", "ours"
_CALLED = {PRINTED: "paper", CITED: "code that the paper cites", OURS: "our choice for the paper's scale"}


def departures(mine, paper, table: str, skipped: frozenset[str] = frozenset()) -> list[str]:
    """How a plan departs from the one of the paper's scale in what ``table`` depends on (empty: any), one sentence per field;
    of that plan itself, what nobody printed.

    Fields have ``about`` in their metadata, ``tables`` where they matter to some only, and ``source``: where the paper's plan
    has it from, ``PRINTED``, ``CITED`` or ``OURS``, or a mapping of that by the names inside, what is not named being ours. A
    value with a method ``in_words`` says itself what counts of it.
    """
    lines = []
    for item in fields(mine):
        if item.name in skipped or not _matters(item, table):
            continue
        here, there, about = getattr(mine, item.name), getattr(paper, item.name), item.metadata["about"]
        source = item.metadata.get("source", OURS)
        if mine == paper:
            lines += _not_printed(about, there, source)
        elif here != there:
            lines.append(f"{about}: {_difference(here, there, source)}")
    return lines


def _not_printed(about: str, value: object, source: str | Mapping[str, str]) -> list[str]:
    """What of a setting of the paper's plan is a choice of ours."""
    if isinstance(source, str):
        return [f"{about}: {_words(value)} is our choice, the paper does not print it"] if source == OURS and value else []
    parts = {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else value
    own = [name for name in parts if source.get(name, OURS) == OURS]
    found = ", ".join(f"{name} {_words(parts[name])}" for name in own)
    return [f"{about}: {found}: our choice, the paper does not print it"] if own else []


def _difference(mine: object, paper: object, source: str | Mapping[str, str]) -> str:
    """In words; of two settings of one kind only what differs."""
    if hasattr(mine, "in_words"):
        return f"{mine.in_words()} ({_CALLED[source]}: {paper.in_words()})"
    if not is_dataclass(mine) or type(mine) is not type(paper) or isinstance(mine, _IN_ONE_LINE):
        known = {"": source} if isinstance(source, str) else source
        called = ", ".join(f"{name} {_CALLED[origin]}".strip() for name, origin in known.items())
        return f"{_words(mine)} ({called}: {_words(paper)})"
    return ", ".join(
        f"{f.name} {_words(getattr(mine, f.name))} "
        f"({_CALLED[source if isinstance(source, str) else source.get(f.name, OURS)]}: {_words(getattr(paper, f.name))})"
        for f in fields(mine)
        if getattr(mine, f.name) != getattr(paper, f.name)
    )


def _matters(item: Field, table: str) -> bool:
    return not table or table in item.metadata.get("tables", (table,))


def _words(value) -> str:
    if isinstance(value, dict):
        nested = dict | tuple | _IN_ONE_LINE
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
    if is_dataclass(value) and not isinstance(value, TestSet):
        changed = [f"{f.name} {_words(v)}" for f in fields(value) if (v := getattr(value, f.name)) != f.default]
        return " ".join(changed) or "as published"
    if isinstance(value, tuple):
        return ", ".join(
            t.name + (f" (central {t.side} px)" if t.side else "") if isinstance(t, TestSet) else str(t) for t in value
        )
    return str(value)


def named_settings(networks: Mapping[str, Mapping]) -> str:
    """Networks and their settings in words."""
    return "; ".join(
        f"{name} ({', '.join(f'{key} {value}' for key, value in sizes.items()) or 'as published'})"
        for name, sizes in networks.items()
    )
