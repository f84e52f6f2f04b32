"""How large a run of the coreset paper's tables is in each profile: data sets, students, coresets, expansion."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.papers.coreset.printed import RESNET
from srdistill.papers.coreset.sre2l import Recovery
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.study.settings import CITED, OURS, PRINTED, departures
from srdistill.training.classification_recipe import ClassificationRecipe


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

    @property
    def stand_ins(self) -> dict[str, str]:
        """Components of the paper that something small, trained here, stands in for."""
        return {"engine": "a small diffusion model trained here, for SDXL-Turbo"} if self.pretraining else {}

    def of_table(self, table: str) -> "CoresetPlan":
        """The same plan with the data sets and networks of one table only."""
        names = self.networks[table]
        return replace(
            self, tasks={table: self.tasks[table]}, networks={table: names},
            ipcs={table: self.ipcs[table]} if table in self.ipcs else {},
            classifiers={name: self.classifiers[name] for name in names},
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


TABLES = ("coreset_t1", "coreset_t2", "coreset_t3", "coreset_t4")


def _everywhere(value: tuple) -> dict[str, tuple]:
    return dict.fromkeys(TABLES, value)


# Gates lie some ten points below RDED's own teachers (its README: ResNet-18 has 90.0 on ImageNette, 75.0 on ImageWoof, 62.0 on
# Tiny-ImageNet, 69.8 on ImageNet-1k; of CIFAR-10 and 100 the ConvNet's 82.2 and 61.3 count, which are lower).
_NETTE = TaskPlan("imagenette", "imagenette", 224, gate=80.0)
_WOOF = TaskPlan("imagewoof", "imagewoof", 224, gate=65.0)
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
    },
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)},
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}},
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
)  # fmt: skip
_FAST = {"precision": "bf16", "channels_last": True}
_GPU = CoresetPlan(
    tasks=_everywhere((TaskPlan("imagenette", "imagenette", 224, 300, 100, gate=40.0),))
    | {"coreset_t2": (TaskPlan("imagenette", "imagenette", 32, 300, 100, gate=40.0, rded_factor=1),)},
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)},
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}},
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
)  # fmt: skip
_PHOTOS = TaskPlan("photos", "photos", 32, 100, 50, rded_factor=1)
_FEW_PHOTOS = replace(_PHOTOS, train=16, test=8, gate=20.0)
# One rate for all rows: the best mean accuracy of RDED, ours and random patches, IPC 1, with eleven pictures of BSDS200 as
# classes, seed 0. At 2e-3 24.7, 62.4, 65.5 %; 5e-3 38.9, 59.8, 70.0; 1.2e-2 53.6, 54.4, 68.7; 3e-2 40.5, 47.3, 67.5.
_SMALL = ClassificationRecipe(25, batch=11, lr=1.2e-2, temperature=20, channels_last=True)
_NETTE64 = TaskPlan("imagenette", "imagenette", 64, 300, 100, gate=50.0, rded_factor=1)
_NETTE32 = replace(_NETTE64, size=32, gate=45.0)
# One rate for all rows: the best mean accuracy of the rows without diffusion (RDED, RDED on as many pictures, selected and
# random patches, whole pictures), 240 training pictures of each class against the other 60, seed 0. At 1e-3, 2e-3, 5e-3, 1e-2
# and 2e-2 with one picture a class 30.6, 31.7, 28.9, 24.9, 23.0 %; with ten 37.1, 40.6, 37.3, 32.8, 19.8.
_MIDDLE = ClassificationRecipe(40, batch=10, lr=2e-3, temperature=20, channels_last=True)
_DESKTOP = CoresetPlan(
    tasks=_everywhere((_NETTE64,)) | {"coreset_t2": (_NETTE32,)},
    networks=_everywhere(("ConvNet",)),
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 3, "width": 32}},
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3, 4),
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
)  # fmt: skip
_LAPTOP = CoresetPlan(
    tasks=_everywhere((_PHOTOS,)) | {"coreset_t2": (replace(_PHOTOS, size=16),)},
    networks=_everywhere(("ConvNet",)),
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 3, "width": 32}},
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
)  # fmt: skip
_SMOKE = CoresetPlan(
    tasks=_everywhere((_FEW_PHOTOS,)) | {"coreset_t2": (replace(_FEW_PHOTOS, size=16),)},
    networks=_everywhere(("ConvNet",)),
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 2, "width": 16}},
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
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "desktop": _DESKTOP, "gpu": _GPU, "paper": PAPER}
