"""How large a run of the coreset paper's tables is in each profile: data sets, students, coresets, expansion."""

from dataclasses import dataclass, field, replace

from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.papers.coreset.printed import RESNET
from srdistill.papers.coreset.sre2l import Recovery
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.study.settings import departures
from srdistill.training.classification_recipe import ClassificationRecipe


@dataclass(frozen=True)
class TaskPlan:
    """A data set: ``collection`` as ``load_labelled`` knows it, pictures of ``size`` px, of each class ``train`` to train
    on and ``test`` to test on (None: all)."""

    name: str
    collection: str
    size: int
    train: int | None = None
    test: int | None = None

    def __str__(self) -> str:
        limits = [f"{count} a class to {what}" for what, count in (("train", self.train), ("test", self.test)) if count]
        return ", ".join([f"{self.name} at {self.size} px", *limits])


@dataclass(frozen=True)
class CoresetPlan:
    """Everything that the size of such a run depends on, beside seeds and checkpoints of the profile."""

    tasks: dict[str, tuple[TaskPlan, ...]] = field(metadata={"about": "data sets"})
    networks: dict[str, tuple[str, ...]] = field(metadata={"about": "students"})
    classifiers: dict[str, dict] = field(metadata={"about": "classifiers, each its students' teacher"})
    ipcs: dict[str, tuple[int, ...]] = field(metadata={"about": "pictures per class", "tables": ("coreset_t1", "coreset_t2")})
    factor: int = field(metadata={"about": "r, of a picture's side to a patch's"})
    factors: tuple[int, ...] = field(metadata={"about": "values of r", "tables": ("coreset_t3",)})
    selection: dict = field(metadata={"about": "selection of patches"})
    teacher: ClassificationRecipe = field(metadata={"about": "training of teachers and on all pictures"})
    gate: float = field(metadata={"about": "accuracy that a teacher must have, %"})
    students: dict[int, ClassificationRecipe] = field(metadata={"about": "training of students by IPC"})
    prior: str = field(metadata={"about": "autoencoder of the diffusion model"})
    prior_recipe: AutoencoderRecipe | None = field(metadata={"about": "training of the autoencoder"})
    transformer: dict = field(metadata={"about": "diffusion model, trained from scratch (empty: SDXL-Turbo)"})
    pretraining: DiffusionRecipe | None = field(metadata={"about": "training from scratch"})
    engine: dict = field(metadata={"about": "expansion"})
    sre2l: Recovery = field(metadata={"about": "SRe2L", "tables": ("coreset_t1", "coreset_t2")})

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

    def student(self, ipc: int) -> ClassificationRecipe:
        """How students of ``ipc`` pictures per class are trained; raises ValueError for an IPC without a recipe."""
        if ipc not in self.students:
            known = ", ".join(map(str, self.students))
            raise ValueError(f"there is no recipe for {ipc} pictures per class; there are: {known}")
        return self.students[ipc]

    def deviations(self, table: str = "") -> list[str]:
        """How this plan departs from the paper's, one sentence per field."""
        return departures(self, PAPER.of_table(table) if table else PAPER, table)


TABLES = ("coreset_t1", "coreset_t2", "coreset_t3", "coreset_t4")


def _everywhere(value: tuple) -> dict[str, tuple]:
    return dict.fromkeys(TABLES, value)


_NETTE = TaskPlan("imagenette", "imagenette", 224)
# RDED's evaluation (protocol notes, section 6.1); batches for ten classes, larger ones for more.
_RDED = ClassificationRecipe(300, lr=1e-3, temperature=20)
PAPER = CoresetPlan(
    tasks={
        "coreset_t1": (
            TaskPlan("tiny-imagenet", "tiny-imagenet", 64), TaskPlan("imagewoof", "imagewoof", 224), _NETTE,
            TaskPlan("imagenet", "imagenet", 224),
        ),
        "coreset_t2": (TaskPlan("cifar10", "cifar10", 32), TaskPlan("cifar100", "cifar100", 32)),
        "coreset_t3": (_NETTE,),
        "coreset_t4": (TaskPlan("imagewoof", "imagewoof", 224), _NETTE),
    },
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)},
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}},
    ipcs={"coreset_t1": (1, 10, 50), "coreset_t2": (1, 10, 50)},
    factor=2,
    factors=(2, 3, 4, 5, 7, 8),
    selection={"pool": 300, "crops": 5},
    teacher=ClassificationRecipe(100, batch=128, schedule="full cosine", crop_scale=(0.25, 1.0), cutmix=False),
    gate=60.0,
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
    tasks=_everywhere((TaskPlan("imagenette", "imagenette", 224, 300, 100),))
    | {"coreset_t2": (TaskPlan("imagenette", "imagenette", 32, 300, 100),)},
    networks=_everywhere((RESNET,)) | {"coreset_t2": ("ConvNet", RESNET)},
    classifiers={RESNET: {"architecture": "ResNet18"}, "ConvNet": {"architecture": "ConvNet", "depth": 3}},
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1, 10)},
    factor=2,
    factors=(2, 4, 8),
    selection={"pool": 300, "crops": 5},
    teacher=ClassificationRecipe(60, batch=64, schedule="full cosine", crop_scale=(0.25, 1.0), cutmix=False, **_FAST),
    gate=40.0,
    students={1: replace(_RDED, epochs=60, batch=10, **_FAST), 10: replace(_RDED, epochs=40, batch=50, **_FAST)},
    prior="taef2",
    prior_recipe=None,
    transformer={"width": 384, "depth": 12, "heads": 6},
    pretraining=DiffusionRecipe(20_000, batch=64, ema=0.999, precision="bf16"),
    engine={"steps": 5, "guidance": 1.5, "working_size": 224},
    sre2l=Recovery(iterations=500),
)  # fmt: skip
_PHOTOS = TaskPlan("photos", "photos", 32, 100, 50)
_SMALL = ClassificationRecipe(50, batch=11, lr=5e-3, temperature=20, channels_last=True)
_LAPTOP = CoresetPlan(
    tasks=_everywhere((_PHOTOS,)) | {"coreset_t2": (replace(_PHOTOS, size=16),)},
    networks=_everywhere(("ConvNet",)),
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 3, "width": 32}},
    ipcs={"coreset_t1": (1, 10), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3, 4),
    selection={"pool": None, "crops": 5},
    teacher=ClassificationRecipe(15, batch=50, lr=5e-3, schedule="full cosine", cutmix=False, channels_last=True),
    gate=60.0,
    students={1: _SMALL, 10: replace(_SMALL, epochs=15, batch=44)},
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=700, factor=2, channels=4, width=24),
    transformer={"width": 96, "depth": 4, "heads": 3, "patch": 4},
    pretraining=DiffusionRecipe(1300, batch=16, lr=4e-3, ema=0.98, schedule="cosine", warm_up=50),
    engine={"steps": 5, "guidance": 1.0, "working_size": 32},
    sre2l=Recovery(iterations=150),
)  # fmt: skip
_SMOKE = CoresetPlan(
    tasks=_everywhere((replace(_PHOTOS, train=16, test=8),)) | {"coreset_t2": (replace(_PHOTOS, size=16, train=16, test=8),)},
    networks=_everywhere(("ConvNet",)),
    classifiers={"ConvNet": {"architecture": "ConvNet", "depth": 2, "width": 16}},
    ipcs={"coreset_t1": (1,), "coreset_t2": (1,)},
    factor=2,
    factors=(2, 3),
    selection={"pool": None, "crops": 2},
    teacher=ClassificationRecipe(6, batch=22, lr=1e-2, schedule="full cosine", cutmix=False),
    gate=20.0,
    students={1: replace(_SMALL, epochs=2, batch=22, lr=1e-2)},
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=10, factor=2, channels=4, width=8),
    transformer={"width": 24, "depth": 1, "heads": 1, "patch": 4},
    pretraining=DiffusionRecipe(2, batch=4),
    engine={"steps": 5, "guidance": 1.0, "working_size": 32},
    sre2l=Recovery(iterations=2),
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "gpu": _GPU, "paper": PAPER}
