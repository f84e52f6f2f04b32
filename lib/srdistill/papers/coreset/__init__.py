"""*Diffusion-augmented coreset expansion for scalable dataset distillation* (tables 1 to 6, figures 2 to 5).

The rooms, in reading order:

``expanding``      the paper's own method, and RDED's collages
``recovery``       SRe2L and G-VBSM: pictures recovered from trained networks
``matching``       DC, DM and IDM: gradients or features matched, in pixels or in codes
``trajectories``   MTT, TESLA and DATM
``own_labels``     sets that are learned with labels of their own
``parts``, ``baselines``, ``published_baselines``, ``plan``   what depends on data set and student, settings of the baselines,
how large a run is
``coreset_rows``, ``tables``, ``printed``, ``figures``   what is run, what is printed, what is shown

The engines themselves lie on the shelf ``diffusion``, training with soft labels in ``training``.
"""

from srdistill.papers.coreset.coreset_rows import coreset_row, selected
from srdistill.papers.coreset.expanding.collages import collages
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.expanding.engines import engine
from srdistill.papers.coreset.expanding.expansion import ABLATION, Expansion
from srdistill.papers.coreset.expanding.label_drift import label_drift
from srdistill.papers.coreset.figures import class_columns, factor_figure, lowering_figure, ranked, storage_table, tenths
from srdistill.papers.coreset.parts import PARTS
from srdistill.papers.coreset.plan import PLANS
from srdistill.papers.coreset.printed import DATM, DC, DM, GVBSM, IDM, MTT, OURS, RDED, SRE2L, TESLA, printed
from srdistill.papers.coreset.recovery.sre2l import sre2l
from srdistill.papers.coreset.tables import (
    HARD,
    PRINTED_PARTS,
    RANDOM,
    ROUNDED,
    SELECTED,
    SOFT,
    TABLES,
    UNTRAINED,
    WHOLE,
    latent_label,
)
from srdistill.papers.coreset.trajectories.unrolling import unrolling
from srdistill.study.classification import ClassificationStudy
from srdistill.study.paper import Paper

__all__ = [
    "ABLATION", "DATM", "DC", "DM", "GVBSM", "HARD", "IDM", "MTT", "OURS", "PAPER", "PRINTED_PARTS", "RANDOM", "RDED",
    "ROUNDED", "SELECTED", "SOFT", "SRE2L", "TESLA", "UNTRAINED", "WHOLE", "Expansion", "collages", "class_columns",
    "coreset_patches", "coreset_row", "engine", "factor_figure", "label_drift", "latent_label", "lowering_figure", "printed",
    "random_coreset", "ranked", "selected", "sre2l", "storage_table", "tenths", "unrolling",
]  # fmt: skip

PAPER = Paper(
    "coreset", "the coreset paper", ClassificationStudy, PLANS, TABLES, printed_on=("imagenette", "cifar10"), printed=printed,
    parts=PARTS,
)  # fmt: skip
