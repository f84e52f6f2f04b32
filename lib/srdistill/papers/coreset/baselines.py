"""The printed baselines that distil pictures: rows of tables 1, 2, 5 and 6, and the settings that they are run with.

Each method has settings for a data set and a number of pictures a class, as its authors print them; where nothing is printed
for a data set, those of ``""``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from srdistill.papers.coreset.coreset_rows import extra_bytes, own_row
from srdistill.papers.coreset.matching.dataset_condensation import Condensation, dataset_condensation
from srdistill.papers.coreset.matching.distribution_matching import DistributionMatching, distribution_matching
from srdistill.papers.coreset.matching.idm import ImprovedMatching, idm
from srdistill.papers.coreset.printed import DATM, DC, DM, IDM, MTT, TESLA
from srdistill.papers.coreset.recovery.gvbsm import GeneralRecovery, gvbsm
from srdistill.papers.coreset.recovery.relabelled_source import relabelled
from srdistill.papers.coreset.trajectories.experts import ExpertRecipe
from srdistill.papers.coreset.trajectories.trajectory_matching import AGREED, TrajectoryMatching, trajectory_matching
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.study.rows import ClassRow, FromCell
from srdistill.training.hard_label_recipe import HardLabelRecipe

METHODS: dict[str, Callable] = {
    DC: dataset_condensation, DM: distribution_matching, MTT: trajectory_matching, TESLA: trajectory_matching,
    DATM: trajectory_matching, IDM: idm,
}  # fmt: skip
Settings = Condensation | DistributionMatching | TrajectoryMatching | ImprovedMatching
# G-VBSM's students: what all of its networks say, by squares, and some of the class (train_FKD.py).
_GVBSM_LOSS = {"soft_loss": "squares", "hard_weight": 0.15}
_GVBSM_CROPS = (0.08, 1.0)


@dataclass(frozen=True)
class Baselines:
    """``network``: settings of the network that pictures are distilled with, but for its depth, which is that of the pictures'
    size. ``settings``: by method, then by (table or data set, pictures a class). ``prior``: the generator whose codes are moved
    in place of pixels, empty for the autoencoder of the diffusion model; ``latent``: rates of its codes, by method.
    ``untrained``: the networks of a generator that nobody trains; ``untrained_latent``: rates of codes of that.
    ``students``, ``rates``: how a set is learned with its own labels, and the rates of students that have another.
    ``experts``, ``expert``: how many trajectories there are, and of what; ``other_experts``: of what else, by method and table
    or data set. ``backbones``: names of classifiers. ``datm_start``: what DATM starts from; experts of a few steps may name no
    picture of a class right, so that it finds none to start from.
    """

    network: dict
    students: HardLabelRecipe
    rates: Mapping[str, float]
    settings: Mapping[str, Mapping[tuple[str, int], Settings]]
    latent: Mapping[str, float]
    untrained_latent: Mapping[str, float]
    untrained: AutoencoderRecipe
    experts: int
    expert: ExpertRecipe
    backbones: tuple[str, ...]
    recovery: GeneralRecovery
    prior: str = ""
    other_experts: Mapping[tuple[str, str], ExpertRecipe] = field(default_factory=dict)
    datm_start: str = AGREED

    def in_words(self) -> str:
        """What a table's notes say of them."""
        network = " ".join(str(value) for value in self.network.values())
        iterations = ", ".join(
            f"{name} {' or '.join(str(count) for count in sorted({one.iterations for one in known.values()}))}"
            for name, known in self.settings.items()
        )
        return (
            f"distilled with {network} in iterations of {iterations}; {self.experts} experts of {self.expert.epochs} epochs; "
            f"G-VBSM {self.recovery.iterations} from {' and '.join(self.backbones)}; own labels learned in "
            f"{self.students.epochs} epochs at {self.students.lr:g}"
        )

    def expert_for(self, method: str, table: str, dataset: str, ipc: int) -> ExpertRecipe:
        """How the experts are trained whose trajectories the method matches: whitening if it whitens."""
        found = self.other_experts.get((method, table), self.other_experts.get((method, dataset), self.expert))
        return replace(found, zca=self.chosen(method, table, dataset, ipc).zca)

    def chosen(self, method: str, table: str, dataset: str, ipc: int) -> Settings:
        """A method's settings: for the table, for the data set, or for any. Raises ValueError where there are none."""
        known = self.settings[method]
        found = next((known[where, ipc] for where in (table, dataset, "") if (where, ipc) in known), None)
        if found is None:
            has = ", ".join(f"{where or 'any data set'} {count}" for where, count in known)
            raise ValueError(f"{method} has no settings for {dataset}, {ipc} pictures per class; it has some for: {has}")
        return found


def matched(method: str, ipc: int, label: str, rounded: bool = False, **changes) -> ClassRow:
    """A row of a distilled set whose students learn it with its own labels. ``rounded``: after 8 bits. ``changes``: other
    settings of the method, a start or a prior."""
    which, classifier = {"method": method, "ipc": ipc}, None
    settings = {"ipc": ipc, "network": FromCell("network"), "matching": FromCell("settings", which)}
    if METHODS[method] is trajectory_matching:
        settings, classifier = settings | {"experts": FromCell("experts", which)}, FromCell("whitening", which)
    settings |= {"start": FromCell("DATM start")} if method == DATM else {}
    given = {"rounded": True} if rounded else {}
    return own_row(ipc, label, METHODS[method], given=given, classifier=classifier, **(settings | changes))


def recovered(study, ipc: int, label: str) -> ClassRow:
    """G-VBSM's row, whose students learn what all of its networks say."""
    trained = {"ipc": ipc} | _GVBSM_LOSS
    given = {"teacher": FromCell("backbones"), "views": FromCell("views", trained | {"crop_scale": _GVBSM_CROPS})}
    settings = {"ipc": ipc, "backbones": FromCell("backbones"), "recovery": study.plan.baselines.recovery}
    return ClassRow(label, gvbsm, settings, ipc, FromCell("training", trained), relabelled, given, extra_bytes)
