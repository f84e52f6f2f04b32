"""What is run for each of the coreset paper's tables: the printed methods that run here, and the controls that they lack."""

from collections.abc import Callable
from dataclasses import replace

from srdistill.papers.coreset.collages import collages
from srdistill.papers.coreset.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.engines import engine, engine_size, expanded, unexpanded
from srdistill.papers.coreset.expansion import ABLATION, Expansion
from srdistill.papers.coreset.no_patches import no_patches
from srdistill.papers.coreset.printed import OURS, RDED, SRE2L
from srdistill.papers.coreset.sre2l import sre2l
from srdistill.study.classification import ALL_PICTURES, ClassificationStudy
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.paper import Table
from srdistill.study.rows import Cell, ClassRow, FromCell, Row
from srdistill.training.classification_recipe import ClassificationRecipe

SELECTED, RANDOM, WHOLE = "Selected patches", "Random patches", "Whole pictures"
# The rows of table 4 by the parts that they have.
PRINTED_PARTS = {
    "text": "Only text cond.",
    "superres": "Superres (rho=0.5)",
    "superres+aug": "Superres+Aug (rho=0.8)",
    "superres+aug+mixup": "Superres+Aug+Mixup (rho=0.8)",
}
_ALL_PARTS = "superres+aug+mixup"


def _teacher(study: ClassificationStudy, cell: Cell) -> Task:
    return study.teacher(cell.dataset, cell.network)


def _engine(study: ClassificationStudy, cell: Cell) -> Resource:
    return engine(study, cell.dataset)


def _rded_factor(study: ClassificationStudy, cell: Cell) -> int:
    return study.planned[cell.dataset].rded_factor


def _views(study: ClassificationStudy, cell: Cell, ipc: int, collage: int | None = None, **training) -> ClassificationRecipe:
    """How students see pictures, and are trained: RDED's way. ``collage``: cells in a row of its collages, 0 for its own r;
    None: no collages."""
    cells = {}
    if collage is not None:
        r = collage or _rded_factor(study, cell)
        cells = {"collage": r, "crop_scale": (1 / r, 1.0)}
    return replace(study.plan.student(ipc, study.planned[cell.dataset], cell.network), **(cells | training))


def _training(study: ClassificationStudy, cell: Cell, **given) -> ClassificationRecipe:
    """The same of pictures that come shuffled and augmented from a source."""
    return replace(
        _views(study, cell, **given), shuffle=False, crop_scale=(1.0, 1.0), flip=False, cutmix=False, collage=1
    )  # fmt: skip


# What differs from data set to data set, and from student to student.
PARTS = {
    "teacher": _teacher, "engine": _engine, "data set": _rded_factor, "views": _views, "training": _training,
}  # fmt: skip


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
    """What the soft labels of all epochs take on the first data set, in half precision; 0 for all pictures."""
    if row.method is None:
        return 0
    return study.recipe(row).epochs * len(study.make_set(row, 0)) * len(study.dataset.train.classes) * 2


def engine_bytes(study: ClassificationStudy, row: ClassRow) -> int:
    """What the diffusion model takes that the row's pictures cannot be made without."""
    needed = isinstance(row, ClassRow) and "engine" in row.source_settings
    return study.open(engine_size(study, study.dataset.name)) if needed else 0


def extra_bytes(study: ClassificationStudy, row: ClassRow) -> int:
    """Both."""
    return soft_label_bytes(study, row) + engine_bytes(study, row)


# --- the tables ---------------------------------------------------------------------------------------------------------


def _methods(study: ClassificationStudy, ipc: int) -> list[Row]:
    r, everything = study.plan.factor, ABLATION[_ALL_PARTS]
    patches = coreset_row(study, ipc, f"{SELECTED}, IPC {ipc}", coreset_patches, **selected(study, ipc))
    longer = study.plan.student(ipc).epochs * r**2
    chance = {"ipc": ipc, "factor": r}
    return [
        coreset_row(study, ipc, f"{SRE2L}, IPC {ipc}", sre2l, ipc=ipc, teacher=FromCell("teacher"), recovery=study.plan.sre2l),
        rded(study, ipc, f"{RDED}, IPC {ipc}"),
        coreset_row(study, ipc, f"{OURS}, IPC {ipc}", coreset_patches, expansion=everything, **selected(study, ipc)),
        rded(study, ipc, f"{RDED}, as many pictures, IPC {ipc}", epochs=longer),
        patches,
        coreset_row(study, ipc, f"{RANDOM}, IPC {ipc}", random_coreset, **chance),
        coreset_row(study, ipc, f"{RANDOM}, expanded, IPC {ipc}", random_coreset, expansion=everything, **chance),
        coreset_row(study, ipc, f"{WHOLE}, IPC {ipc}", random_coreset, ipc=ipc, factor=1, scale=(1.0, 1.0)),
    ]


def tables_1_and_2(study: ClassificationStudy) -> list[Row]:
    """All pictures, then for every IPC the printed methods and the controls."""
    return [Row(ALL_PICTURES)] + [row for ipc in study.plan.ipcs[study.name] for row in _methods(study, ipc)]


def table_3(study: ClassificationStudy) -> list[Row]:
    """The size of patches: ours and RDED's at every factor, and RDED's trained on as many pictures as ours."""
    ours, theirs, longer = [], [], []
    for r in study.plan.factors:
        everything = ABLATION[_ALL_PARTS]
        ours.append(coreset_row(study, 1, f"r = {r}", coreset_patches, expansion=everything, **selected(study, 1, r)))
        theirs.append(rded(study, 1, f"{RDED}, r = {r}", r))
        longer.append(rded(study, 1, f"{RDED}, as many pictures, r = {r}", r, epochs=study.plan.student(1).epochs * r**2))
    return ours + theirs + longer


def _with_part(study: ClassificationStudy, part: str, label: str) -> ClassRow:
    if not ABLATION[part].anchored:
        return coreset_row(study, 1, label, no_patches, expansion=ABLATION[part], ipc=1, factor=study.plan.factor)
    return coreset_row(study, 1, label, coreset_patches, expansion=ABLATION[part], **selected(study, 1))


def table_4(study: ClassificationStudy) -> list[Row]:
    """The parts of the expansion; as controls the same patches enlarged, and random patches with all parts."""
    r, chosen = study.plan.factor, selected(study, 1)
    patches = coreset_row(study, 1, f"{SELECTED}, enlarged", coreset_patches, **chosen)
    whole, everything = PRINTED_PARTS[_ALL_PARTS], ABLATION[_ALL_PARTS]
    return [
        rded(study, 1, RDED),
        rded(study, 1, f"{RDED}, as many pictures", epochs=study.plan.student(1).epochs * r**2),
        *(_with_part(study, part, name) for part, name in PRINTED_PARTS.items()),
        patches,
        coreset_row(study, 1, f"{RANDOM}, enlarged", random_coreset, ipc=1, factor=r),
        coreset_row(study, 1, f"{RANDOM}, {whole}", random_coreset, expansion=everything, ipc=1, factor=r),
    ]  # fmt: skip


_EXPANSION, _ABLATION = "09_coreset_expansion", "10_expansion_ablation"
TABLES = (
    Table("coreset_t1", "Coreset, table 1: expanded patches against RDED and SRe2L", _EXPANSION, tables_1_and_2),
    Table("coreset_t2", "Coreset, table 2: the same at low resolution", _EXPANSION, tables_1_and_2),
    Table("coreset_t3", "Coreset, table 3 and figure 5: the size of patches", _ABLATION, table_3,
          shown=("accuracy", "seconds_per_epoch"), timed=True),
    Table("coreset_t4", "Coreset, table 4: the parts of the expansion", _ABLATION, table_4),
)  # fmt: skip
