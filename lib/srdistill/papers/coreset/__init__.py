"""*Diffusion-augmented coreset expansion for scalable dataset distillation* (tables 1 to 4, figures 2 to 5).

The method, in reading order:

``coreset_patches``   stage 1: the crops that a teacher is surest of (RDED's selection), and random ones
``no_patches``        what is kept of pictures that are made from the class alone
``expansion``, ``latent_mixup``   what is done to a patch in every epoch
``expanded_source``   stage 2 and 3: pictures made anew every epoch, augmented, and labelled in the same pass
``label_drift``       how far labels drift when the pictures are made twice
``collages``, ``sre2l``   the baselines: RDED's collages, SRe2L's recovered pictures
``engines``, ``plan``, ``tables``, ``printed``, ``figures``   the models as tasks, how large a run is, what is run, what is
printed, what is shown

The engines themselves lie on the shelf ``diffusion``, training with soft labels in ``training``.
"""

from srdistill.papers.coreset.collages import collages
from srdistill.papers.coreset.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.engines import engine
from srdistill.papers.coreset.expansion import ABLATION, Expansion
from srdistill.papers.coreset.figures import class_columns, factor_figure, ranked, storage_table
from srdistill.papers.coreset.label_drift import label_drift
from srdistill.papers.coreset.plan import PLANS
from srdistill.papers.coreset.printed import OURS, RDED, SRE2L, printed
from srdistill.papers.coreset.sre2l import sre2l
from srdistill.papers.coreset.tables import PARTS, PRINTED_PARTS, RANDOM, SELECTED, TABLES, WHOLE, coreset_row, selected
from srdistill.study.classification import ClassificationStudy
from srdistill.study.paper import Paper

__all__ = [
    "ABLATION", "OURS", "PAPER", "PRINTED_PARTS", "RANDOM", "RDED", "SELECTED", "SRE2L", "WHOLE", "Expansion", "collages",
    "class_columns", "coreset_patches", "coreset_row", "engine", "factor_figure", "label_drift", "printed", "random_coreset",
    "ranked", "selected", "sre2l", "storage_table",
]  # fmt: skip

PAPER = Paper(
    "coreset", "the coreset paper", ClassificationStudy, PLANS, TABLES, printed_on=("imagenette", "cifar10"), printed=printed,
    parts=PARTS,
)  # fmt: skip
