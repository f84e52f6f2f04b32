"""Rows of coresets whose students learn from a teacher, RDED's way, and what is stored of a row beside its pictures."""

from collections.abc import Callable

from srdistill.papers.coreset.expanding.collages import collages
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches
from srdistill.papers.coreset.expanding.engines import engine_size, expanded, unexpanded
from srdistill.papers.coreset.expanding.expansion import Expansion
from srdistill.papers.coreset.own_labels import own_labels
from srdistill.study.classification import ClassificationStudy
from srdistill.study.rows import ClassRow, FromCell
from srdistill.training.hard_label_recipe import HardLabelRecipe
from srdistill.training.hard_labels import train_hard_student


def coreset_row(
    study: ClassificationStudy, ipc: int, label: str, method: Callable, /, *,
    expansion: Expansion | None = None, training: dict | None = None, **settings,
) -> ClassRow:  # fmt: skip
    """A row of ``ipc`` pictures per class. ``method`` gets the training pictures, a generator, and ``settings``.

    ``expansion``: what a diffusion model makes of every patch in every epoch; None: patches are enlarged, pictures taken as
    they are. ``training``: how the students' recipe differs from the plan's. Pictures are augmented before the teacher labels
    them, so that a label is of what the student sees, which is then trained without augmentation, in the same batches.
    """
    study.plan.student(ipc)  # there is a recipe for it
    trained = {"ipc": ipc} | (training or {})
    given = {"views": FromCell("views", trained)}
    given |= {"engine": FromCell("engine"), "expansion": expansion} if expansion else {}
    source = expanded if expansion else unexpanded
    return ClassRow(label, method, settings, ipc, FromCell("training", trained), source, given, extra_bytes)


def own_row(
    ipc: int, label: str, method: Callable, /, *, source: Callable = own_labels, given: dict | None = None,
    classifier: FromCell | None = None, **settings,
) -> ClassRow:  # fmt: skip
    """A row of ``ipc`` pictures per class whose students learn them with labels of their own, GLaD's way; ``classifier``: what
    else these are built with."""
    return ClassRow(
        label, method, settings, ipc, FromCell("own training"), source, given or {}, extra_bytes, train_hard_student,
        classifier or {},
    )  # fmt: skip


def selected(study: ClassificationStudy, ipc: int, factor: int = 0) -> dict:
    """The plan's settings of ``coreset_patches``."""
    chosen = {"ipc": ipc, "factor": factor or study.plan.factor, "teacher": FromCell("teacher")}
    return chosen | study.plan.selection


def rded(study: ClassificationStudy, ipc: int, label: str, factor: int = 0, **training) -> ClassRow:
    """RDED's row: collages of selected patches, their cells shuffled in training; ``factor`` 0: of the data set's plan."""
    chosen = selected(study, ipc) | {"factor": factor or FromCell("data set")}
    patches = coreset_row(study, ipc, f"patches of {label}", coreset_patches, **chosen)
    return coreset_row(study, ipc, label, collages, patches=patches, training={"collage": factor} | training)


# --- what is stored -----------------------------------------------------------------------------------------------------


def soft_label_bytes(study: ClassificationStudy, row: ClassRow) -> int:
    """What the soft labels of all epochs take on the first data set, in half precision; 0 for all pictures and for sets with
    labels of their own."""
    recipe = study.recipe(row) if row.method is not None else None
    if recipe is None or isinstance(recipe, HardLabelRecipe):
        return 0
    return recipe.epochs * len(study.make_set(row, 0)) * len(study.dataset.train.classes) * 2


def engine_bytes(study: ClassificationStudy, row: ClassRow) -> int:
    """What the diffusion model takes that the row's pictures cannot be made without."""
    needed = isinstance(row, ClassRow) and "engine" in row.source_settings
    return study.open(engine_size(study, study.dataset.name)) if needed else 0


def extra_bytes(study: ClassificationStudy, row: ClassRow) -> int:
    """Both."""
    return soft_label_bytes(study, row) + engine_bytes(study, row)
