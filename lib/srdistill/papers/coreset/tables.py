"""What is run for each of the coreset paper's tables: the printed methods that run here, and the controls that they lack."""

from collections.abc import Mapping

from srdistill.papers.coreset.baselines import matched, recovered
from srdistill.papers.coreset.coreset_rows import coreset_row, own_row, rded, selected
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.expanding.expansion import ABLATION
from srdistill.papers.coreset.expanding.no_patches import no_patches
from srdistill.papers.coreset.own_labels import expanded_classes
from srdistill.papers.coreset.printed import DATM, DC, DM, GVBSM, IDM, MTT, OURS, RDED, SRE2L, TESLA
from srdistill.papers.coreset.recovery.sre2l import sre2l
from srdistill.study.classification import ALL_PICTURES, ClassificationStudy
from srdistill.study.paper import Table
from srdistill.study.rows import ClassRow, FromCell, Row

SELECTED, RANDOM, WHOLE = "Selected patches", "Random patches", "Whole pictures"
# What is said of a row: that a teacher labels, that classes do, that floats were cut to 8 bits; and of a generator.
SOFT, HARD, ROUNDED, UNTRAINED = ", soft labels", ", hard labels", ", 8 bits", "untrained generator"
# The rows of table 4 by the parts that they have.
PRINTED_PARTS = {
    "text": "Only text cond.",
    "superres": "Superres (rho=0.5)",
    "superres+aug": "Superres+Aug (rho=0.8)",
    "superres+aug+mixup": "Superres+Aug+Mixup (rho=0.8)",
}
_ALL_PARTS = "superres+aug+mixup"


# --- the tables ---------------------------------------------------------------------------------------------------------


def _methods(study: ClassificationStudy, ipc: int) -> list[Row]:
    """The printed methods and the controls, of so many pictures a class."""
    r, everything = study.plan.factor, ABLATION[_ALL_PARTS]
    patches = coreset_row(study, ipc, f"{SELECTED}, IPC {ipc}", coreset_patches, **selected(study, ipc))
    chance = {"ipc": ipc, "factor": r}
    # At higher resolution MTT alone is printed of those that distil pictures; of ResNet-18 none of them is.
    printed = (MTT,) if study.name == "coreset_t1" else (TESLA, MTT, IDM, DATM)
    return [
        *(matched(method, ipc, f"{method}, IPC {ipc}") for method in printed),
        recovered(study, ipc, f"{GVBSM}, IPC {ipc}"),
        coreset_row(study, ipc, f"{SRE2L}, IPC {ipc}", sre2l, ipc=ipc, teacher=FromCell("teacher"), recovery=study.plan.sre2l),
        rded(study, ipc, f"{RDED}, IPC {ipc}"),
        coreset_row(study, ipc, f"{OURS}, IPC {ipc}", coreset_patches, expansion=everything, **selected(study, ipc)),
        rded(study, ipc, f"{RDED}, as many pictures, IPC {ipc}", longer=r**2),
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
        longer.append(rded(study, 1, f"{RDED}, as many pictures, r = {r}", r, longer=r**2))
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
        rded(study, 1, f"{RDED}, as many pictures", longer=r**2),
        *(_with_part(study, part, name) for part, name in PRINTED_PARTS.items()),
        patches,
        coreset_row(study, 1, f"{RANDOM}, enlarged", random_coreset, ipc=1, factor=r),
        coreset_row(study, 1, f"{RANDOM}, {whole}", random_coreset, expansion=everything, ipc=1, factor=r),
    ]  # fmt: skip


def generator_rows(study: ClassificationStudy, method: str) -> list[Row]:
    """A method that moves codes in place of pixels, and the same with a generator that nobody trained."""
    plan = study.plan.baselines

    def row(label: str, prior: str, rates: Mapping[str, float]) -> ClassRow:
        changed = FromCell("settings", {"method": method, "ipc": 1, "lr": rates[method]})
        return matched(method, 1, label, matching=changed, prior=FromCell(prior))

    return [
        row(latent_label(study, method), "prior", plan.latent),
        row(f"{method}, {UNTRAINED}", "untrained prior", plan.untrained_latent),
    ]


def latent_label(study: ClassificationStudy, method: str) -> str:
    """GLaD is a name for StyleGAN-XL's codes; those of another generator are called what they are."""
    return f"{method} + GLaD" if study.plan.baselines.prior == "stylegan_xl" else f"{method}, latent"


def _softly(study: ClassificationStudy, row: ClassRow) -> ClassRow:
    """The same set, its students taught RDED's way, in as many steps as those of our patches."""
    longer = (study.plan.factor // row.settings.get("factor", 1)) ** 2
    return coreset_row(study, 1, f"{row.label}{SOFT}", row.method, training={"longer": longer}, **row.settings)


def tables_5_and_6(study: ClassificationStudy) -> list[Row]:
    """One picture a class, distilled with one network and learned by others: each set with labels of its own, as GLaD's table
    has it, and with a teacher's, as ours is printed. Ours with classes; controls that were not distilled."""
    chosen, everything = selected(study, 1), ABLATION[_ALL_PARTS]
    distilled = [row for method in (MTT, DC, DM) for row in (matched(method, 1, method), *generator_rows(study, method))]
    undistilled = [
        own_row(1, f"{WHOLE}, real", random_coreset, ipc=1, factor=1, scale=(1.0, 1.0)),
        own_row(1, f"{SELECTED}, enlarged", coreset_patches, **chosen),
    ]
    ours = coreset_row(study, 1, OURS, coreset_patches, expansion=everything, **chosen)
    classed = own_row(1, f"{OURS}{HARD}", coreset_patches, source=expanded_classes,
                      given={"engine": FromCell("engine"), "expansion": everything}, **chosen)  # fmt: skip
    rounded = [matched(method, 1, f"{method}{ROUNDED}", rounded=True) for method in (MTT, DC, DM)]
    # At low resolution TESLA's gradient, too: everything else is as MTT's.
    truncated = [matched(TESLA, 1, TESLA)] if study.name == "coreset_t6" else []
    own = distilled + undistilled
    return [*own, *truncated, classed, *rounded, ours, *(_softly(study, row) for row in own)]


_EXPANSION, _ABLATION, _TRANSFER = "09_coreset_expansion", "10_expansion_ablation", "11_expansion_transfer"
TABLES = (
    Table("coreset_t1", "Coreset, table 1: expanded patches against RDED and SRe2L", _EXPANSION, tables_1_and_2),
    Table("coreset_t2", "Coreset, table 2: the same at low resolution", _EXPANSION, tables_1_and_2),
    Table("coreset_t3", "Coreset, table 3 and figure 5: the size of patches", _ABLATION, table_3,
          shown=("accuracy", "seconds_per_epoch"), timed=True),
    Table("coreset_t4", "Coreset, table 4: the parts of the expansion", _ABLATION, table_4),
    Table("coreset_t5", "Coreset, table 5: students that the distillation never saw", _TRANSFER, tables_5_and_6),
    Table("coreset_t6", "Coreset, table 6: the same at low resolution", _TRANSFER, tables_5_and_6),
)  # fmt: skip
