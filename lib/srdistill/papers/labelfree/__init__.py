"""*Dataset distillation for super-resolution without class labels and pre-trained models* (tables 1 to 3, figure 3).

The method, in reading order:

``selection``, ``candidates``   stage 1: which windows of the pictures bicubic gets back worst
``patch_features``, ``hand_made_features``, ``learned_features``, ``pseudo_labels``   what they look like, and seven classes of
them
``patch_pool``                  the outcome of stage 1
``minimax``, ``high_frequency``, ``fine_tuning``   stage 2: a diffusion transformer learns the patches, by three more losses
``dit_samples``                 stage 3: a set is sampled
``selected_patches``            the row that stops after stage 1
``gsdd``                        the baseline of table 1, as we read its description
``steps``, ``plan``, ``tables``, ``printed``, ``figures``   the models as tasks, how large a run is, what is run, what is
printed, what is shown

The transformer, its training and sampling lie on the shelf ``diffusion``.
"""

from srdistill.papers.labelfree.dit_samples import dit_samples
from srdistill.papers.labelfree.figures import detail_table, losses_table
from srdistill.papers.labelfree.fine_tuning import FineTuning, fine_tune
from srdistill.papers.labelfree.gsdd import FeatureMatching, gsdd
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.papers.labelfree.plan import PLANS
from srdistill.papers.labelfree.printed import DISTILLED, RANDOM, SELECTED, printed
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.papers.labelfree.selected_patches import selected_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.papers.labelfree.steps import diffusion, fine_tuned, patches, prior
from srdistill.papers.labelfree.tables import PARTS, TABLES, UNTUNED, sampled
from srdistill.study.paper import Paper
from srdistill.study.sr import SRStudy

__all__ = [
    "DISTILLED", "PAPER", "RANDOM", "SELECTED", "UNTUNED", "FeatureMatching", "FineTuning", "PatchPool", "Selection",
    "detail_table", "diffusion", "dit_samples", "fine_tune", "fine_tuned", "gsdd", "losses_table", "patches", "printed",
    "prior", "pseudo_labelled_patches", "sampled", "selected_patches",
]  # fmt: skip

PAPER = Paper(
    "labelfree", "the labelfree paper", SRStudy, PLANS, TABLES, printed_on=("ost300",), printed=printed, parts=PARTS
)
