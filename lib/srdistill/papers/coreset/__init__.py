"""*Diffusion-augmented coreset expansion for scalable dataset distillation* (tables 1 to 6, figures 2 to 5).

The method, in reading order:

``coreset_patches``   stage 1: the crops that a teacher is surest of (RDED's selection), and random ones
``no_patches``        what is kept of pictures that are made from the class alone
``expansion``, ``latent_mixup``   what is done to a patch in every epoch
``expanded_source``   stage 2 and 3: pictures made anew every epoch, augmented, and labelled in the same pass
``label_drift``       how far labels drift when the pictures are made twice
``collages``, ``sre2l``, ``gvbsm``   baselines: RDED's collages, pictures recovered from one network or from several
``dataset_condensation``, ``distribution_matching``, ``idm``   baselines that match gradients (DC, DSA) or features (DM, IDM)
``experts``, ``trajectory_matching``, ``trajectory_gradient``, ``unrolling``   MTT, TESLA and DATM: what is matched, how, by
which gradient, and how far TESLA's is from the exact one
``learned``, ``untrained_prior``   what these move: pixels, or codes of a generator, which may be one that nobody trained
``own_labels``, ``relabelled_source``   sets that are learned with labels of their own; G-VBSM's labels
``engines``, ``parts``, ``baselines``, ``published_baselines``, ``plan``   the models as tasks, what depends on data set and
student, settings of the baselines, how large a run is
``coreset_rows``, ``tables``, ``printed``, ``figures``   what is run, what is printed, what is shown

The engines themselves lie on the shelf ``diffusion``, training with soft labels in ``training``.
"""

from srdistill.papers.coreset.collages import collages
from srdistill.papers.coreset.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.coreset_rows import coreset_row, selected
from srdistill.papers.coreset.engines import engine
from srdistill.papers.coreset.expansion import ABLATION, Expansion
from srdistill.papers.coreset.figures import class_columns, factor_figure, ranked, storage_table
from srdistill.papers.coreset.label_drift import label_drift
from srdistill.papers.coreset.parts import PARTS
from srdistill.papers.coreset.plan import PLANS
from srdistill.papers.coreset.printed import DC, DM, MTT, OURS, RDED, SRE2L, TESLA, printed
from srdistill.papers.coreset.sre2l import sre2l
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
from srdistill.papers.coreset.unrolling import unrolling
from srdistill.study.classification import ClassificationStudy
from srdistill.study.paper import Paper

__all__ = [
    "ABLATION", "DC", "DM", "HARD", "MTT", "OURS", "PAPER", "PRINTED_PARTS", "RANDOM", "RDED", "ROUNDED", "SELECTED", "SOFT",
    "SRE2L", "TESLA", "UNTRAINED", "WHOLE", "Expansion", "collages", "class_columns", "coreset_patches", "coreset_row",
    "engine", "factor_figure", "label_drift", "latent_label", "printed", "random_coreset", "ranked", "selected", "sre2l",
    "storage_table", "unrolling",
]  # fmt: skip

PAPER = Paper(
    "coreset", "the coreset paper", ClassificationStudy, PLANS, TABLES, printed_on=("imagenette", "cifar10"), printed=printed,
    parts=PARTS,
)  # fmt: skip
