"""One notebook's run on classification: data sets, teachers, coresets, their expansion, students, accuracies."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd
from torch import Tensor

from srdistill.diffusion.engine import Engine
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.diffusion.sdxl_turbo import REVISION, SDXLTurboEngine
from srdistill.files import DiskError
from srdistill.images.collections import load_collection
from srdistill.images.labelled import LabelledPictures
from srdistill.images.labelled_collections import load_labelled
from srdistill.images.photo_classes import picture_classes
from srdistill.images.pictures import Pictures
from srdistill.networks.classifiers import CLASSIFIERS, Classifier, build_classifier
from srdistill.papers.coreset.expanded_source import ExpandedSource, PlainSource
from srdistill.papers.coreset.expansion import Expansion
from srdistill.papers.coreset.plan import CORESET, CoresetPlan, TaskPlan
from srdistill.progress import bar
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import DistilledSet, Sizes, sizes_of
from srdistill.study.cells import Cells, Results, Row, named_settings
from srdistill.study.diffusion import build_diffusion
from srdistill.study.generators import build_generator
from srdistill.study.identity import code_digest, plain
from srdistill.study.store import Entry
from srdistill.training.classification import train_classifier, train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.made_ahead import MadeAhead
from srdistill.training.teacher import check_teacher, load_teacher

ALL_PICTURES = "All pictures, own labels"
_SMALL_PICTURES = 64
# Seconds differ from run to run, so they stand only where the paper's table is about time.
_TIMED = ("coreset_t3",)


@dataclass(frozen=True)
class Task:
    """A data set: pictures to train on, and to test on."""

    name: str
    train: LabelledPictures
    test: LabelledPictures


@dataclass(frozen=True)
class OfCell:
    """A setting of a row that depends on data set and student: the teacher, say."""

    make: Callable[[Task, str], object]


@dataclass(frozen=True)
class CoresetRow(Row):
    """A coreset and how students are trained on it.

    ``ipc``: the set has as many pixels as so many pictures of each class. ``expansion``: what a diffusion model makes of
    every patch in every epoch; None: patches are enlarged, pictures taken as they are. ``training``: how the students'
    recipe differs from the plan's. ``method`` None: all pictures with their own labels.
    """

    ipc: int = 0
    expansion: Expansion | None = None
    training: dict = field(default_factory=dict)


class CoresetStudy(Cells):
    """The data sets, the profile and the store of one notebook on classification.

    ``table``, ``profile``, ``seeds``: see ``Cells``. ``data``: a folder of one's own pictures, ``train/<class>`` and
    ``val/<class>`` inside, which are cut to squares of the profile's size; or with pictures only, each of which is then a
    class, that of its crops.
    """

    # What the images of an exported set are good for.
    use = "Training pictures of a classifier, or patches to be enlarged; file names end with the class."
    lpips, lpips_note = None, ""

    def __init__(self, table: str, profile: str = "", seeds: int = 0, data: str = ""):
        super().__init__(table, profile, seeds, data)
        self.plan: CoresetPlan = CORESET[self.profile.name].of_table(table)
        plans = self.plan.tasks[table]
        if data:
            plans = (replace(plans[0], name="own", collection=data, train=None, test=None),)
        self.tasks = [Task(p.name, _pictures(p, "train", p.size), _pictures(p, "test", p.size)) for p in plans]
        self._plans = dict(zip((task.name for task in self.tasks), plans, strict=True))
        self.networks = list(self.plan.networks[table])
        self.ipcs = self.plan.ipcs.get(table, (1,))
        self._engines: dict[str, Engine] = {}
        self._identities: dict[str, dict] = {}
        self._teachers: dict[tuple[str, str], tuple[Classifier, float]] = {}

    # --- teachers and engines ---------------------------------------------------------------------------------

    def teacher(self, task: Task, network: str) -> tuple[Classifier, float]:
        """The classifier trained on all pictures with seed 0, and its accuracy in percent.

        Raises TeacherError if that is below the plan's gate.
        """
        key = task.name, network
        if key not in self._teachers:
            entry = self._fetch_full(0, task, network)
            found = load_teacher(entry.tensors, classes=task.train.classes, size=task.train.size).to(self.device)
            self._teachers[key] = found, check_teacher(found, task.test, at_least=self.plan.gate, device=self.device)
        return self._teachers[key]

    def engine(self, task: Task) -> Engine:
        """What expands patches of this data set: SDXL-Turbo, or a small diffusion model trained on its pictures."""
        if task.name not in self._engines:
            self._engines[task.name] = self._build_engine(task)
        return self._engines[task.name]

    def _build_engine(self, task: Task) -> Engine:
        plan = self.plan
        if not plan.pretraining:
            return SDXLTurboEngine(task.train.classes, download=True, device=self.device, **plan.engine)
        images, labels = self._of_engine(task)
        names = tuple(f"picture {index}" for index in range(len(images)))
        pictures = Pictures(tuple(images), names, task.train.name)
        prior, _ = build_generator(
            plan.prior, plan.prior_settings, pictures, self.store, self.device, self._checkpoint
        )
        model, _ = build_diffusion(plan.pretraining, images, labels, prior, self.store, self.device, self._checkpoint)
        return LatentDiffusionEngine(model, prior, device=self.device, **plan.engine)

    def _of_engine(self, task: Task) -> tuple[Tensor, Tensor]:
        """The pictures that its diffusion model learns: of the side that it works at."""
        side = self.plan.engine["working_size"]
        if task.train.size == side:
            return task.train.images, task.train.labels
        larger = _pictures(self._plans[task.name], "train", side)
        return larger.images, larger.labels

    def _identity_of_engine(self, task: Task) -> dict:
        if task.name not in self._identities:
            engine = self.engine(task)
            trained = isinstance(engine, LatentDiffusionEngine)
            self._identities[task.name] = {
                "weights": [plain(engine.model), plain(engine.prior)] if trained else REVISION,
                "settings": plain(self.plan.engine),
                "code": code_digest(type(engine)),
            }
        return self._identities[task.name]

    # --- rows and their sets ----------------------------------------------------------------------------------

    def coreset_row(
        self, ipc: int, label: str, method: Callable[..., DistilledSet], /, *,
        expansion: Expansion | None = None, training: dict | None = None, **settings,
    ) -> CoresetRow:  # fmt: skip
        """A row of the table; see ``CoresetRow``. ``method`` gets the training pictures, a generator, and ``settings``."""
        return CoresetRow(label, method, settings, ipc, expansion, training or {})

    def selected(self, ipc: int, factor: int = 0) -> dict:
        """The plan's settings of ``coreset_patches``."""
        return {
            "ipc": ipc,
            "factor": factor or self.plan.factor,
            "teacher": OfCell(lambda task, network: self.teacher(task, network)[0]),
            # What the teacher subtracts: grey to it.
            "padding": OfCell(lambda task, network: self.teacher(task, network)[0].mean.flatten().tolist()),
        } | self.plan.selection

    def recovered(self, ipc: int) -> dict:
        """The plan's settings of ``sre2l``."""
        return {
            "ipc": ipc,
            "size": OfCell(lambda task, network: task.train.size),
            "teacher": OfCell(lambda task, network: self.teacher(task, network)[0]),
            "mean": OfCell(lambda task, network: self.teacher(task, network)[0].mean.flatten().tolist()),
            "spread": OfCell(lambda task, network: self.teacher(task, network)[0].std.flatten().tolist()),
        } | self.plan.sre2l

    def make_set(self, row: Row, seed: int, task: Task | None = None, network: str = "") -> DistilledSet:
        """The row's set for this seed, by default of the first data set and student; from the store if it is there."""
        return DistilledSet.load(self.set_entry(row, seed, task, network).tensors)

    def set_entry(self, row: Row, seed: int, task: Task | None = None, network: str = "") -> Entry:
        """Where the store keeps the row's set; made if it is not there."""
        if row.method is None:
            raise ValueError(f"{row.label}: all pictures are not a distilled set; see Task.train")
        task, network = task or self.tasks[0], network or self.networks[0]

        def resolved(value):
            if isinstance(value, Row):
                return self.make_set(value, seed, task, network)
            return value.make(task, network) if isinstance(value, OfCell) else value

        settings = {name: resolved(value) for name, value in row.settings.items()}
        return self._fetch_set(row, task.train, settings, seed)

    def set_entries(self, row: Row) -> list[tuple[str, int, Entry]]:
        """The row's sets: data set and student in words, seed, entry."""
        return [
            (f", {task.name}, {network}", seed, self.set_entry(row, seed, task, network))
            for task in self.tasks
            for network in self.networks
            for seed in self.seeds
        ]

    # --- students ---------------------------------------------------------------------------------------------

    def source(self, row: CoresetRow, seed: int, task: Task | None = None, network: str = "") -> ExpandedSource | PlainSource:
        """Epoch to pictures and soft labels: what students of this row see, augmented and then labelled."""
        task, network = task or self.tasks[0], network or self.networks[0]
        made, teacher = self.make_set(row, seed, task, network), self.teacher(task, network)[0]
        shared = {
            "classes": len(task.train.classes), "size": task.train.size, "seed": derive_seed(seed, "pictures"),
            "views": self._recipe(row), "device": self.device,
        }  # fmt: skip
        if row.expansion is None:
            return PlainSource(teacher, made.images, made.labels, **shared)
        return ExpandedSource(
            self.engine(task), teacher, made.images, made.labels, expansion=row.expansion, batch=64, **shared
        )

    def soft_label_bytes(self, row: CoresetRow, task: Task | None = None) -> int:
        """What the soft labels of all epochs take, in half precision; 0 for all pictures."""
        if row.method is None:
            return 0
        task = task or self.tasks[0]
        return self._recipe(row).epochs * len(self.make_set(row, 0, task)) * len(task.train.classes) * 2

    def _recipe(self, row: CoresetRow) -> ClassificationRecipe:
        return replace(self.plan.student(row.ipc), **row.training)

    def _classifier(self, task: Task, network: str) -> dict:
        """Architecture and settings; ResNet-18 keeps its resolution longer for small pictures, as RDED's does."""
        settings = self.plan.classifiers[network]
        small = settings["architecture"] == "ResNet18" and task.train.size <= _SMALL_PICTURES
        return settings | ({"small_stem": True} if small else {})

    def _fresh(self, seed: int, task: Task, network: str) -> Classifier:
        mean, std = task.train.statistics
        return build_classifier(
            classes=task.train.classes, size=task.train.size, seed=derive_seed(seed, "student"), mean=mean, std=std,
            **self._classifier(task, network),
        )  # fmt: skip

    def _spec(self, recipe: ClassificationRecipe, seed: int, task: Task, network: str, training: Callable) -> dict:
        settings = self._classifier(task, network)
        return {
            "train": task.train.digest,
            "test": task.test.digest,
            "recipe": plain(asdict(recipe)),
            "network": plain(settings),
            "seed": seed,
            "code": [code_digest(training), code_digest(CLASSIFIERS[settings["architecture"]])],
            "device": self.device.type,
        }

    def _fetch_full(self, seed: int, task: Task, network: str) -> Entry:
        """Trained on all pictures with their own labels: the upper bound, and with seed 0 the teacher."""
        spec = self._spec(self.plan.teacher, seed, task, network, train_classifier)

        def make():
            model = self._fresh(seed, task, network)
            history = train_classifier(
                model, task.train, self.plan.teacher, generator=generator_for(seed, "training"), test=task.test,
                device=self.device, checkpoint=self._checkpoint("classifiers", spec),
                label=f"{network} on all of {task.name}, seed {seed}",
            )  # fmt: skip
            return {"history": history}, lambda path: model.cpu().save(Path(path))

        return self.store.fetch("classifiers", spec, make)

    def _fetch_student(self, row: CoresetRow, seed: int, task: Task, network: str) -> Entry:
        if row.method is None:
            return self._fetch_full(seed, task, network)
        recipe = self._recipe(row)
        # Augmented before labelling, so that a label is of what the student sees.
        unchanged = replace(recipe, crop_scale=(1.0, 1.0), flip=False, cutmix=False, collage=1)
        source = self.source(row, seed, task, network)
        spec = self._spec(unchanged, seed, task, network, train_student) | {
            "set": [plain(source.labels), self.make_set(row, seed, task, network).digest],
            "views": plain(asdict(source.views)),
            "teacher": plain(source.teacher),
            "expansion": plain(row.expansion),
            "engine": self._identity_of_engine(task) if row.expansion else None,
            "source": code_digest(type(source)),
        }

        def make():
            model = self._fresh(seed, task, network)
            # On a GPU the next epoch's pictures are made meanwhile; on a CPU both would share the cores.
            ahead = MadeAhead(source, recipe.epochs) if self.device.type == "cuda" else nullcontext(source)
            with ahead as pictures:
                history = train_student(
                    model, pictures, unchanged, generator=generator_for(seed, "training"), test=task.test,
                    device=self.device, checkpoint=self._checkpoint("classifiers", spec),
                    label=f"{network} on {row.label}, {task.name}, seed {seed}",
                )  # fmt: skip
            return {"history": history}, None

        return self.store.fetch("classifiers", spec, make)

    def run(self, rows: Sequence[CoresetRow]) -> Results:
        """All cells of a table. A cell that fails is reported in the results and not stored; the others go on."""
        lines, failures, fresh, seconds = [], [], 0, 0.0
        work = [
            (seed, task, network, row) for seed in self.seeds for task in self.tasks for network in self.networks
            for row in rows
        ]  # fmt: skip
        for seed, task, network, row in bar(work, f"{self.table}: coresets and students"):
            try:
                entry = self._fetch_student(row, seed, task, network)
            except DiskError:
                raise  # the next cell would be lost as well
            except Exception as error:
                failures.append(f"{network} on {row.label}, {task.name}, seed {seed}: {type(error).__name__}: {error}")
                continue
            fresh += entry.fresh
            seconds += entry.seconds
            history = entry.value["history"]
            lines.append(
                {
                    "row": row.label, "network": network, "seed": seed, "testset": task.name, "collapsed": False,
                    "accuracy": history["accuracy"][-1], "best_accuracy": max(history["accuracy"]),
                }
                | ({"seconds_per_epoch": entry.seconds / len(history["loss"])} if self.table in _TIMED else {})
            )  # fmt: skip
        columns = ["row", "network", "seed", "testset", "collapsed", "accuracy", "best_accuracy"]
        columns += ["seconds_per_epoch"] if self.table in _TIMED else []
        scores = pd.DataFrame(lines, columns=columns).astype({"collapsed": bool})
        return Results(list(rows), self.networks, 0, scores, failures, fresh, seconds)

    # --- what is said of the run ------------------------------------------------------------------------------

    @property
    def tests(self) -> dict[str, LabelledPictures]:
        """Test pictures by data set."""
        return {task.name: task.test for task in self.tasks}

    def sizes(self, row: CoresetRow | None) -> Sizes:
        """Sizes of the row's set of seed 0 on the first data set; the last one with all soft labels and the diffusion model.

        None: of the training pictures.
        """
        task = self.tasks[0]
        if row is None:
            return sizes_of(list(task.train.images))
        sizes = self.make_set(row, 0, task).sizes
        model = self.engine(task).bytes if row.expansion else 0
        return replace(sizes, total_bytes=sizes.total_bytes + self.soft_label_bytes(row, task) + model)

    def about(self) -> dict[str, str]:
        """The run in a few lines, for ``describe``."""
        return {
            "students and teachers": named_settings({name: self.plan.classifiers[name] for name in self.networks}),
            "data sets": "; ".join(
                f"{t.name}: {len(t.train.classes)} classes, {len(t.train):,} pictures of {t.train.size} px to train on, "
                f"{len(t.test):,} to test on" for t in self.tasks
            ) or "none of this table in this profile",
        }  # fmt: skip

    def footnotes(self, results: Results) -> list[str]:
        """What has to stand under a table of this study."""
        scores = results.scores
        gap = (scores.best_accuracy - scores.accuracy).mean() if len(scores) else 0.0
        data = self.about()["data sets"]
        return [
            f"Profile {self.profile.name}: {data}; {len(self.seeds)} seed(s). Top-1 accuracy in percent after the last "
            "epoch; mean ± standard deviation over seeds.",
            "The best accuracy among the epochs tested in the last fifth, chosen on the test pictures as others report it, "
            f"would be {gap:.1f} points higher on average.",
            "Teachers are the students' own architecture, trained on all pictures (seed 0). Pictures are augmented before the "
            "teacher labels them; the soft labels of all epochs count in the bytes.",
        ]

    @property
    def origin(self) -> str:
        """Where the training pictures are from."""
        return ", ".join(task.train.name for task in self.tasks)

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of training and test pictures of every data set."""
        return {f"{t.name}, {part}": getattr(t, part).digest for t in self.tasks for part in ("train", "test")}


# How many crops of each of one's own pictures there are to train on, and to test on.
_CROPS = {"train": 100, "test": 50}


def _pictures(plan: TaskPlan, split: str, size: int) -> LabelledPictures:
    """One split of a data set, at ``size`` px."""
    count = plan.train if split == "train" else plan.test
    if plan.name == "own" and not Path(plan.collection, "train").is_dir():
        return picture_classes(load_collection(plan.collection), split, size=size, per_class=_CROPS[split], seed=0)
    return load_labelled(plan.collection, split, size=size, per_class=count, download=True)
