"""How large a run of the coreset paper's tables is in each profile: data sets, students, coresets, expansion."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.papers.coreset.baselines import Baselines
from srdistill.papers.coreset.printed import DC, DM, IDM, MTT, RESNET
from srdistill.papers.coreset.published_baselines import PUBLISHED, scaled
from srdistill.papers.coreset.recovery.gvbsm import GeneralRecovery
from srdistill.papers.coreset.recovery.sre2l import Recovery
from srdistill.papers.coreset.trajectories.experts import ExpertRecipe
from srdistill.papers.coreset.trajectories.trajectory_matching import TrajectoryMatching
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.study.settings import CITED, OURS, PRINTED, departures
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.hard_label_recipe import HardLabelRecipe


@dataclass(frozen=True)
class TaskPlan:
    """A data set: ``collection`` as ``load_labelled`` knows it, pictures of ``size`` px, of each class ``train`` to train
    on and ``test`` to test on (None: all).

    ``gate``: accuracy in percent that a teacher must have. ``rded_factor``: r of RDED's own row, 1 up to 64 px and 2 above, as
    in its scripts (LINs-lab/RDED, scripts/*.sh). ``batches``: of students by IPC, where they are not the plan's.
    ``special``: what else differs in their training, by student.
    """

    name: str
    collection: str
    size: int
    train: int | None = None
    test: int | None = None
    gate: float = 60.0
    rded_factor: int = 2
    batches: Mapping[int, int] = field(default_factory=dict)
    special: Mapping[str, Mapping] = field(default_factory=dict)

    def __str__(self) -> str:
        limits = [f"{count} a class to {what}" for what, count in (("train", self.train), ("test", self.test)) if count]
        return ", ".join([f"{self.name} at {self.size} px", *limits, f"teachers from {self.gate:g} %"])


TABLES = ("coreset_t1", "coreset_t2", "coreset_t3", "coreset_t4")
# Tables across architectures.
ACROSS = ("coreset_t5", "coreset_t6")

@dataclass(frozen=True)
class CoresetPlan:
    """Everything that the size of such a run depends on, beside seeds and checkpoints of the profile."""

    tasks: dict[str, tuple[TaskPlan, ...]] = field(metadata={"about": "data sets", "source": PRINTED})
    networks: dict[str, tuple[str, ...]] = field(metadata={"about": "students", "source": PRINTED})
    classifiers: dict[str, dict] = field(metadata={"about": "classifiers, each its students' teacher", "source": PRINTED})
    ipcs: dict[str, tuple[int, ...]] = field(
        metadata={"about": "pictures per class", "source": PRINTED, "tables": ("coreset_t1", "coreset_t2")}
    )
    factor: int = field(metadata={"about": "r, of a picture's side to a patch's", "source": PRINTED})
    factors: tuple[int, ...] = field(metadata={"about": "values of r", "source": PRINTED, "tables": ("coreset_t3",)})
    selection: dict = field(metadata={"about": "selection of patches", "source": CITED})
    teacher: ClassificationRecipe = field(metadata={"about": "training of teachers and on all pictures", "source": OURS})
    students: dict[int, ClassificationRecipe] = field(metadata={"about": "training of students by IPC", "source": CITED})
    prior: str = field(metadata={"about": "autoencoder of the diffusion model"})
    prior_recipe: AutoencoderRecipe | None = field(metadata={"about": "training of the autoencoder"})
    transformer: dict = field(metadata={"about": "diffusion model, trained from scratch (empty: SDXL-Turbo)"})
    pretraining: DiffusionRecipe | None = field(metadata={"about": "training from scratch"})
    engine: dict = field(metadata={"about": "expansion", "source": {"steps": PRINTED}})
    sre2l: Recovery = field(metadata={"about": "SRe2L", "source": CITED, "tables": ("coreset_t1", "coreset_t2")})
    baselines: Baselines = field(
        metadata={"about": "baselines that distil", "source": CITED, "tables": ("coreset_t1", "coreset_t2", *ACROSS)}
    )
    # What else a classifier is built with in a table, by table and name.
    variants: Mapping[str, Mapping[str, dict]] = field(
        metadata={"about": "classifiers of one table", "source": CITED, "tables": ACROSS}
    )
    # The one network that teaches and distils, by table across architectures.
    teachers: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(ACROSS, "ConvNet"),
                                        metadata={"about": "teacher of all students", "source": PRINTED, "tables": ACROSS})

    @property
    def stand_ins(self) -> dict[str, str]:
        """Components of the paper that something small, trained here, stands in for."""
        return {"engine": "a small diffusion model trained here, for SDXL-Turbo"} if self.pretraining else {}

    def of_table(self, table: str) -> "CoresetPlan":
        """The same plan with the data sets and networks of one table only."""
        names = self.networks[table]
        others = {self.teachers[table]} if table in ACROSS else set(self.baselines.backbones) if table in self.ipcs else set()
        special = self.variants.get(table, {})
        return replace(
            self, tasks={table: self.tasks[table]}, networks={table: names},
            ipcs={table: self.ipcs[table]} if table in self.ipcs else {},
            classifiers={
                name: found | special.get(name, {}) for name, found in self.classifiers.items() if name in {*names, *others}
            },
        )  # fmt: skip

    def rehearsed(self) -> "CoresetPlan":
        """For a rehearsal, after what ``study.rehearsal.shortened`` does: one IPC, and as many pictures of a class as the
        patches are made of. With SDXL-Turbo's stand-in pictures are smaller, but still what ResNet-18 takes for large: 72 px.
        """

        def fewer(table: str, task: TaskPlan) -> TaskPlan:
            patches = max(self.factors) if table == "coreset_t3" else self.factor
            side = task.size if self.transformer else min(task.size, 72)
            return replace(task, size=side, train=patches**2, test=2)

        tasks = {table: tuple(fewer(table, task) for task in found) for table, found in self.tasks.items()}
        engine = self.engine if self.transformer else self.engine | {"working_size": 64}
        ipcs = {table: found[:1] for table, found in self.ipcs.items()}
        return replace(self, tasks=tasks, ipcs=ipcs, selection=self.selection | {"pool": None}, engine=engine)

    def student(self, ipc: int, task: TaskPlan | None = None, network: str = "") -> ClassificationRecipe:
        """How students of ``ipc`` pictures per class are trained, on a data set and for a ``network`` that need something
        else; raises ValueError for an IPC without a recipe."""
        if ipc not in self.students:
            known = ", ".join(map(str, self.students))
            raise ValueError(f"there is no recipe for {ipc} pictures per class; there are: {known}")
        recipe = self.students[ipc]
        if task is None:
            return recipe
        return replace(recipe, **({"batch": task.batches.get(ipc, recipe.batch)} | dict(task.special.get(network, {}))))

    def deviations(self, table: str = "") -> list[str]:
        """How this plan departs from the paper's, one sentence per field."""
        return departures(self, PAPER.of_table(table) if table else PAPER, table)


def _everywhere(value: tuple) -> dict[str, tuple]:
    return dict.fromkeys(TABLES, value)


_STUDENTS = ("AlexNet", "VGG11", RESNET, "ViT")
_ACROSS = {"coreset_t5": _STUDENTS, "coreset_t6": ("AlexNet", RESNET, "ViT")}
# What GLaD's students are at 128 px, and its ViT at 32 px; its ResNet-18 keeps its resolution longer at any size.
_GLAD_VIT = {"patch": 16, "depth": 10, "norm": "none"}
_GLAD = {
    "coreset_t5": {"VGG11": {"pooled": 7}, "ViT": _GLAD_VIT, RESNET: {"norm": "instance", "small_stem": True}},
    "coreset_t6": {RESNET: {"norm": "instance", "small_stem": True}},
}
# RDED's rates of students (argument.py).
_RATES = {"VGG11": {"lr": 5e-4}, "AlexNet": {"lr": 1e-4}, "ViT": {"lr": 1e-4}}


# Gates lie some ten points below RDED's own teachers (its README: ResNet-18 has 90.0 on ImageNette, 75.0 on ImageWoof, 62.0 on
# Tiny-ImageNet, 69.8 on ImageNet-1k; of CIFAR-10 and 100 the ConvNet's 82.2 and 61.3 count, which are lower).
_NETTE = TaskPlan("imagenette", "imagenette", 224, gate=80.0)
_WOOF = TaskPlan("imagewoof", "imagewoof", 224, gate=65.0)
def _across(task: TaskPlan, size: int = 128) -> TaskPlan:
    """For students that the distillation never saw, GLaD's size; each at RDED's rate."""
    return replace(task, size=size, special=_RATES)


_LARGE = {"AlexNet": {"architecture": "AlexNet"}, "VGG11": {"architecture": "VGG11"}, "ViT": {"architecture": "ViT"}}
# RDED's batches (argument.py): the plan's for ten classes, twice as many for 100 and 1000, 100 for Tiny-ImageNet.
_TWICE = {1: 20, 10: 100, 50: 200}
_CONVNET_ON_CIFAR100 = {"ConvNet": {"batch": 25, "lr": 2e-3}}
# RDED's evaluation (protocol notes, section 6.1).
_RDED = ClassificationRecipe(300, lr=1e-3, temperature=20)
PAPER = CoresetPlan(
    tasks={
        "coreset_t1": (
            TaskPlan("tiny-imagenet", "tiny-imagenet", 64, gate=50.0, rded_factor=1, batches=dict.fromkeys((1, 10, 50), 100)),
            _WOOF, _NETTE, TaskPlan("imagenet", "imagenet", 224, batches=_TWICE),
        ),
        "coreset_t2": (
            TaskPlan("cifar10", "cifar10", 32, gate=70.0, rded_factor=1),
            TaskPlan("cifar100", "cifar100", 32, gate=50.0, rded_factor=1, batches=_TWICE, special=_CONVNET_ON_CIFAR100),
        ),
        "coreset_t3": (_NETTE,),
        "coreset_t4": (_WOOF, _NETTE),
        "coreset_t5": (_across(_WOOF), _across(_NETTE)),
        "coreset_t6": (_across(TaskPlan("cifar10", "cifar10", 32, gate=70.0, rded_factor=1), 32),),
    },
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)} | _ACROSS,
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}} | _LARGE,
    ipcs={"coreset_t1": (1, 10, 50), "coreset_t2": (1, 10, 50)},
    factor=2,
    factors=(2, 3, 4, 5, 7, 8),
    selection={"pool": 300, "crops": 5},
    teacher=ClassificationRecipe(100, batch=128, schedule="full cosine", crop_scale=(0.25, 1.0), cutmix=False),
    students={1: replace(_RDED, batch=10), 10: replace(_RDED, batch=50), 50: replace(_RDED, batch=100)},
    prior="",
    prior_recipe=None,
    transformer={},
    pretraining=None,
    engine={"steps": 5},
    sre2l=Recovery(iterations=4000),
    baselines=PUBLISHED,
    variants=_GLAD | {"coreset_t5": _GLAD["coreset_t5"] | {"ConvNet": {"depth": 5}}},
)  # fmt: skip
_FAST = {"precision": "bf16", "channels_last": True}
_GPU_32 = TaskPlan("imagenette", "imagenette", 32, 300, 100, gate=40.0, rded_factor=1)
_GPU = CoresetPlan(
    tasks=_everywhere((TaskPlan("imagenette", "imagenette", 224, 300, 100, gate=40.0),))
    | {
        "coreset_t2": (_GPU_32,), "coreset_t5": (_across(replace(_GPU_32, rded_factor=2)),),
        "coreset_t6": (_across(_GPU_32, 32),),
    },
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)} | _ACROSS,
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}} | _LARGE,
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1, 10)},
    factor=2,
    factors=(2, 4, 8),
    selection={"pool": 300, "crops": 5},
    teacher=ClassificationRecipe(60, batch=64, schedule="full cosine", crop_scale=(0.25, 1.0), cutmix=False, **_FAST),
    students={1: replace(_RDED, epochs=60, batch=10, **_FAST), 10: replace(_RDED, epochs=40, batch=50, **_FAST)},
    prior="taef2",
    prior_recipe=None,
    transformer={"width": 384, "depth": 12, "heads": 6},
    pretraining=DiffusionRecipe(20_000, batch=64, ema=0.999, precision="bf16"),
    engine={"steps": 5, "guidance": 1.5, "working_size": 224},
    sre2l=Recovery(iterations=500),
    baselines=scaled(
        {DC: (300, 1.0), DM: (1000, 1.0), MTT: (500, 1000.0), IDM: (500, 0.2)},
        trajectory=TrajectoryMatching(steps=20, start_below=5, lr_step=1e-6), batch10=50, real_batch=128,
        network=PUBLISHED.network, students=HardLabelRecipe(1000), rates={"VGG11": 1e-4},
        latent={DC: 1.0, DM: 10.0, MTT: 1e4}, untrained_latent={DC: 1.0, DM: 10.0, MTT: 1e4},
        untrained=AutoencoderRecipe(factor=8, channels=32), experts=10, expert=ExpertRecipe(15),
        backbones=("ConvNet", RESNET), recovery=GeneralRecovery(iterations=500),
    ),
    variants=_GLAD | {"coreset_t5": _GLAD["coreset_t5"] | {"ConvNet": {"depth": 5}}},
)  # fmt: skip
_PHOTOS = TaskPlan("photos", "photos", 32, 100, 50, rded_factor=1)
_PHOTOS16 = replace(_PHOTOS, size=16)
_FEW_PHOTOS = replace(_PHOTOS, train=16, test=8, gate=20.0)
_FEW_PHOTOS16 = replace(_FEW_PHOTOS, size=16)


def _narrow(share: float, **vit) -> dict[str, dict]:
    """The students of other architectures, their widths a share of the published ones."""
    norms = {RESNET: {"architecture": "ResNet18", "norm": "instance", "small_stem": True}, "ViT": {"architecture": "ViT"} | vit}
    return {name: found | {"width_factor": share} for name, found in (_LARGE | norms).items()}


def _short(task: TaskPlan, epochs: int, rates: Mapping[str, float] | None = None) -> TaskPlan:
    """For students of other architectures, each at its rate, in about as many steps as with labels of their own."""
    return replace(task, special={
        name: {"epochs": epochs} | ({"lr": rates[name]} if rates else {}) for name in _STUDENTS
    })  # fmt: skip


_NARROW, _NARROWER = _narrow(0.25, depth=3, heads=4), _narrow(0.125, depth=3, heads=2)
_NARROWEST = _narrow(0.0625, depth=1, heads=2)
# Of students of other architectures, with a teacher's labels: for each the best mean accuracy at 32 and 16 px of 1e-3, 3e-3,
# 1e-2 and 3e-2 on whole pictures of the same eleven classes, seeds 0 to 2; with own labels of 1e-2, 3e-2, 1e-1 and 3e-1.
_PHOTOS_RATES = {"AlexNet": 3e-3, "VGG11": 1e-3, RESNET: 1e-2, "ViT": 1e-2}
# One rate for all rows: the best mean accuracy of RDED, ours and random patches, IPC 1, with eleven pictures of BSDS200 as
# classes, seed 0. At 2e-3 24.7, 62.4, 65.5 %; 5e-3 38.9, 59.8, 70.0; 1.2e-2 53.6, 54.4, 68.7; 3e-2 40.5, 47.3, 67.5.
_SMALL = ClassificationRecipe(25, batch=11, lr=1.2e-2, temperature=20, channels_last=True)
_NETTE64 = TaskPlan("imagenette", "imagenette", 64, 300, 100, gate=50.0, rded_factor=1)
_NETTE32 = replace(_NETTE64, size=32, gate=45.0)
# One rate for all rows: the best mean accuracy of the rows without diffusion (RDED, RDED on as many pictures, selected and
# random patches, whole pictures), 240 training pictures of each class against the other 60, seed 0. At 1e-3, 2e-3, 5e-3, 1e-2
# and 2e-2 with one picture a class 30.6, 31.7, 28.9, 24.9, 23.0 %; with ten 37.1, 40.6, 37.3, 32.8, 19.8.
_MIDDLE = ClassificationRecipe(40, batch=10, lr=2e-3, temperature=20, channels_last=True)
# Rates of pictures, of codes, and of those of an untrained generator: for each method the best accuracy of the network that
# distils, with own labels, after 30 or 50 iterations at 32 px, 240 training pictures of a class against the other 60, seed 0.
# Of pixels DM 1 and 10 gave 27.0 and 24.3 %, DC 28.3 and 28.8, MTT at 30, 300 and 3000 20.2, 29.0 and 26.5; the pictures that
# all start from 18.3. Of codes DM at 0.01, 0.03, 0.1 and 0.3 23.0, 26.7, 26.3 and 24.7, DC at 0.01, 0.1 and 1 19.0, 24.3 and
# 23.7, MTT at 1, 10 and 100 16.8, 23.2 and 28.2. Of untrained codes DM at 0.01, 0.1, 1 and 10 19.2, 24.3, 22.0 and 22.0, DC at
# 0.01, 0.1, 1 and 10 13.8, 20.0, 23.8 and 22.3, MTT at 10, 100 and 1000 19.3, 24.2 and 25.5. Students of other architectures,
# on the pictures that all start from, of 1e-2, 3e-2 and 1e-1 with own labels and of 5e-4, 2e-3 and 5e-3 with a teacher's.
_DESKTOP = CoresetPlan(
    tasks=_everywhere((_NETTE64,))
    | {"coreset_t2": (_NETTE32,), "coreset_t5": (_short(_NETTE64, 25),), "coreset_t6": (_short(_NETTE32, 25),)},
    networks=_everywhere(("ConvNet",)) | _ACROSS,
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 3, "width": 32}} | _NARROW,
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3),
    selection={"pool": 300, "crops": 5},
    # After 12 epochs on 240 pictures of each class, of the other 60: 55.8 %; 55.5 at depth 4, 54.2 of that at 6e-3.
    teacher=ClassificationRecipe(25, batch=64, lr=2e-3, schedule="full cosine", crop_scale=(0.25, 1.0), cutmix=False,
                                 channels_last=True),
    students={1: _MIDDLE, 10: replace(_MIDDLE, epochs=8, batch=50)},
    prior="taef2",
    prior_recipe=None,
    # Trained on the codes of 270 pictures a class, the loss on those of the other 30: 0.233 after 250 steps, 66 s; a UNet of
    # 128 and 256 channels 0.375 after 168 steps, 150 s.
    transformer={"width": 256, "depth": 6, "heads": 4},
    pretraining=DiffusionRecipe(5000, batch=32, lr=1e-3, ema=0.998, schedule="cosine", warm_up=200),
    engine={"steps": 5, "guidance": 1.0, "working_size": 64},
    sre2l=Recovery(iterations=100),
    baselines=scaled(
        {DC: (30, 10.0), DM: (50, 1.0), MTT: (40, 300.0), IDM: (60, 2.0)},
        trajectory=TrajectoryMatching(steps=10, span=1, start_below=4, step_size=6e-3, lr_step=1e-6), batch10=20, real_batch=32,
        network={"architecture": "ConvNet", "width": 32, "norm": "instance"},
        students=HardLabelRecipe(100, lr=3e-2, ema=0.95), rates={"AlexNet": 1e-2, "VGG11": 1e-2},
        latent={DC: 0.1, DM: 0.03, MTT: 100.0}, untrained_latent={DC: 1.0, DM: 0.1, MTT: 1000.0},
        untrained=AutoencoderRecipe(factor=8, channels=32),
        experts=5, expert=ExpertRecipe(6, lr=0.02, batch=64), backbones=("ConvNet",),
        recovery=GeneralRecovery(iterations=100),
    ),
    variants={"coreset_t5": {"ViT": {"patch": 8}, RESNET: {"width_factor": 0.125}}},
)  # fmt: skip
# Chosen in the same way, at 16 px, with the eleven pictures of BSDS200 as classes, seeds 0 and 1.
_LAPTOP = CoresetPlan(
    tasks=_everywhere((_PHOTOS,))
    | {
        "coreset_t2": (_PHOTOS16,), "coreset_t5": (_short(_PHOTOS, 5, _PHOTOS_RATES),),
        "coreset_t6": (_short(_PHOTOS16, 5, _PHOTOS_RATES),),
    },
    networks=_everywhere(("ConvNet",)) | _ACROSS,
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 3, "width": 32}} | _NARROWER | {RESNET: _NARROWEST[RESNET]},
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3, 4),
    selection={"pool": None, "crops": 5},
    teacher=ClassificationRecipe(15, batch=50, lr=5e-3, schedule="full cosine", cutmix=False, channels_last=True),
    students={1: _SMALL, 10: replace(_SMALL, epochs=8, batch=44)},
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=500, factor=2, channels=4, width=24),
    transformer={"width": 96, "depth": 4, "heads": 3, "patch": 4},
    pretraining=DiffusionRecipe(800, batch=16, lr=4e-3, ema=0.98, schedule="cosine", warm_up=50),
    engine={"steps": 5, "guidance": 1.0, "working_size": 32},
    sre2l=Recovery(iterations=60),
    baselines=scaled(
        {DC: (10, 0.3), DM: (20, 0.1), MTT: (15, 300.0), IDM: (20, 0.2)},
        trajectory=TrajectoryMatching(steps=4, span=1, start_below=3, lr_step=1e-6), batch10=22, real_batch=16,
        network={"architecture": "ConvNet", "width": 32, "norm": "instance"},
        students=HardLabelRecipe(20, lr=0.1, ema=0.75), rates={"VGG11": 1e-2},
        latent={DC: 3e-3, DM: 3e-3, MTT: 10.0}, untrained_latent={DC: 1.0, DM: 1.0, MTT: 1000.0},
        untrained=AutoencoderRecipe(factor=2, channels=4, width=24),
        experts=3, expert=ExpertRecipe(4, lr=0.02, batch=64), backbones=("ConvNet",),
        recovery=GeneralRecovery(iterations=30),
    ),
    variants={"coreset_t5": {"ViT": {"patch": 8}}},
)  # fmt: skip
_SMOKE = CoresetPlan(
    tasks=_everywhere((_FEW_PHOTOS,))
    | {"coreset_t2": (_FEW_PHOTOS16,), "coreset_t5": (_FEW_PHOTOS,), "coreset_t6": (_FEW_PHOTOS16,)},
    networks=_everywhere(("ConvNet",)) | _ACROSS,
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 2, "width": 16}} | _NARROWEST,
    ipcs={"coreset_t1": (1,), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3),
    selection={"pool": None, "crops": 2},
    teacher=ClassificationRecipe(6, batch=22, lr=1e-2, schedule="full cosine", cutmix=False),
    students={1: replace(_SMALL, epochs=2, batch=22, lr=1e-2)},
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=10, factor=2, channels=4, width=8),
    transformer={"width": 24, "depth": 1, "heads": 1, "patch": 4},
    pretraining=DiffusionRecipe(2, batch=4),
    engine={"steps": 5, "guidance": 1.0, "working_size": 32},
    sre2l=Recovery(iterations=2),
    baselines=scaled(
        {DC: (2, 0.1), DM: (2, 1.0), MTT: (2, 100.0), IDM: (2, 0.2)},
        trajectory=TrajectoryMatching(steps=2, span=1, start_below=4, lr_step=1e-6), batch10=2, real_batch=4,
        network={"architecture": "ConvNet", "width": 8, "norm": "instance"},
        students=HardLabelRecipe(2, lr=1e-2), rates={},
        latent={DC: 1.0, DM: 1.0, MTT: 100.0}, untrained_latent={DC: 1.0, DM: 1.0, MTT: 100.0},
        untrained=AutoencoderRecipe(factor=2, channels=4, width=8),
        experts=2, expert=ExpertRecipe(5, lr=0.02, batch=64), backbones=("ConvNet",),
        recovery=GeneralRecovery(iterations=2), datm_start="real",
    ),
    variants={},
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "desktop": _DESKTOP, "gpu": _GPU, "paper": PAPER}
