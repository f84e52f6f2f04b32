"""Studies of classification: students learn a source's pictures and a teacher's soft labels, and are tested."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from srdistill.images.labelled import LabelledPictures
from srdistill.seeds import derive_seed
from srdistill.sets.distilled_set import Sizes, sizes_of
from srdistill.sets.learned_set import rounded_set
from srdistill.study.class_pictures import class_pictures
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.rows import Cell, ClassRow, Results, Row
from srdistill.study.settings import named_settings
from srdistill.study.steps.classifiers import CLASSIFIER, STUDENT, TEACHER
from srdistill.study.study import Study
from srdistill.study.verdicts.gates import Headroom
from srdistill.study.words import counted
from srdistill.training.classification import train_classifier
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.teacher import check_teacher

ALL_PICTURES = "All pictures, own labels"
# What a table of one teacher and many students calls the mean of these.
AVERAGE = "average"
# Points of a teacher over chance below which students have no room to differ in.
_LEAST_HEADROOM = 10.0


@dataclass(frozen=True)
class Dataset:
    """Pictures to train on and to test on, as resources; ``train`` and ``test`` load them."""

    name: str
    parts: Mapping[str, Resource]

    @property
    def train(self) -> LabelledPictures:
        """To train on."""
        return self.parts["train"].load()

    @property
    def test(self) -> LabelledPictures:
        """To test on."""
        return self.parts["test"].load()


class ClassificationStudy(Study):
    """See ``Study``. The plan names data sets (``tasks``), students, teachers and recipes.

    ``data``: a folder of one's own pictures, ``train/<class>`` and ``val/<class>`` inside, which are cut to squares of the
    profile's size; or with pictures only, each of which is then a class, that of its crops.
    """

    metrics = ("accuracy", "best_accuracy", "seconds_per_epoch")
    use = "Training pictures of a classifier, or patches to be enlarged; file names end with the class."
    lpips, lpips_note = None, ""

    @cached_property
    def planned(self) -> dict:
        """What the plan says of each data set of the table, by name; one's own pictures take the place of the first."""
        plans = self.plan.tasks[self.name]
        if self.data:
            plans = (replace(plans[0], name="own", collection=self.data, train=None, test=None),)
        return {plan.name: plan for plan in plans}

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """The data sets of the table by name."""
        return {
            name: Dataset(name, {part: class_pictures(plan.collection, part, plan.size, getattr(plan, part))
                                 for part in ("train", "test")})
            for name, plan in self.planned.items()
        }  # fmt: skip

    @property
    def dataset(self) -> Dataset:
        """The first data set."""
        return next(iter(self.datasets.values()))

    @property
    def networks(self) -> list[str]:
        """The students."""
        return list(self.plan.networks[self.name])

    @property
    def across(self) -> str:
        """The one network that teaches and distils in a table across architectures, else empty: each student's own."""
        return self.plan.teachers.get(self.name, "")

    @property
    def distilling(self) -> list[str]:
        """The networks that sets are made with."""
        return [self.across] if self.across else self.networks

    def larger(self, dataset: str, size: int) -> Resource:
        """The training pictures of a data set at another ``size``, in px."""
        found = self.datasets[dataset].parts["train"]
        return found if found.settings["size"] == size else class_pictures(**(dict(found.settings) | {"size": size}))

    def real(self, dataset: str = "") -> Resource:
        """The training pictures of a data set, the first by default."""
        return self.datasets[dataset or self.dataset.name].parts["train"]

    # --- teachers and students ----------------------------------------------------------------------------------------

    def timed(self, seed: int) -> bool:
        """Whether seconds are taken of students of this seed, which then run alone: of the first, where the table has any."""
        return self.table.timed and seed == self.seeds[0]

    def on_all(self, dataset: str, network: str, seed: int) -> Task:
        """The task that trains on all pictures with their own labels: the upper bound, and with seed 0 the teacher."""
        settings = dict(self.datasets[dataset].parts) | {
            "recipe": self.plan.teacher, "classifier": self.plan.classifiers[network],
        }  # fmt: skip
        label = f"{network} on all of {dataset}, seed {seed}"
        return Task(CLASSIFIER, train_classifier, settings, seed, self.device, self.timed(seed), label)

    def teacher(self, dataset: str, network: str) -> Task:
        """The task that checks the student's teacher: what needs it fails if its accuracy is below the data set's gate."""
        network = self.across or network
        network_task = replace(self.on_all(dataset, network, 0), alone=False)
        settings = {"network": network_task, "test": self.datasets[dataset].parts["test"], "gate": self.planned[dataset].gate}
        return Task(TEACHER, check_teacher, settings, 0, self.device, label=f"teacher {network} on {dataset}")

    def source(self, row: ClassRow, seed: int, dataset: str = "", network: str = "") -> Resource:
        """Epoch to pictures and soft labels: what students of this row see."""
        dataset, network = dataset or self.dataset.name, network or self.networks[0]
        cell = Cell(row, network, seed, None, dataset=dataset)
        settings = {
            "made": self.set_task(row, seed, dataset, network),
            "teacher": self.teacher(dataset, network),
            "real": self.real(dataset),
            "seed": derive_seed(seed, "pictures"),
        }
        taken = inspect.signature(row.source).parameters
        settings = {name: value for name, value in settings.items() if name in taken}
        return Resource(row.source, settings | {name: self.resolved(v, cell) for name, v in row.source_settings.items()})

    def recipe(self, row: ClassRow, dataset: str = "", network: str = "") -> ClassificationRecipe:
        """How students of the row are trained, by default the first one on the first data set."""
        cell = Cell(row, network or self.networks[0], None, None, dataset=dataset or self.dataset.name)
        return self.resolved(row.recipe, cell)

    def student(self, row: Row, network: str, seed: int, dataset: str = "") -> Task:
        """The task that trains and tests a student of the row."""
        dataset = dataset or self.dataset.name
        if row.method is None:
            return self.on_all(dataset, network, seed)
        others = self.resolved(row.classifier, Cell(row, network, None, None, dataset=dataset))
        settings = dict(self.datasets[dataset].parts) | {
            "source": self.source(row, seed, dataset, network), "recipe": self.recipe(row, dataset, network),
            "classifier": self.plan.classifiers[network] | others,
        }  # fmt: skip
        label = f"{network} on {row.label}, {dataset}, seed {seed}"
        return Task(STUDENT, row.train, settings, seed, self.device, self.timed(seed), label)

    def cells(self, rows: Sequence[Row], networks: Sequence[str] = (), scale: int = 0) -> list[Cell]:
        """Data set by data set, so that no two need to be in memory; of each every student and row, seed by seed."""
        found = []
        for dataset in self.datasets:
            for seed in self.seeds:
                for network in networks or self.networks:
                    for row in rows:
                        task = self.student(row, network, seed, dataset)
                        found.append(Cell(row, network, seed, task, task, dataset))
        return found

    def lines(self, cell: Cell, answer: dict, context: object) -> list[dict]:
        """One line: accuracy after the last epoch, and the best of those tested; seconds where the table is about time."""
        history = answer["history"]
        seconds = {}
        if self.timed(cell.seed):
            seconds["seconds_per_epoch"] = self.entry(cell.student).seconds / len(history["loss"])
        return [
            {
                "row": cell.row.label, "network": cell.network, "seed": cell.seed, "testset": cell.dataset,
                "collapsed": False, "accuracy": history["accuracy"][-1], "best_accuracy": max(history["accuracy"]),
                "correct": answer["correct"],
            }
            | seconds
        ]  # fmt: skip

    # --- what verdicts need -------------------------------------------------------------------------------------------

    above, doing_nothing = "above chance", "chance"

    def per_picture(self, results: Results) -> pd.DataFrame:
        """Accuracy picture by picture: 100 where the student is right, 0 where it is not."""
        keys = ["row", "network", "seed", "testset", "image", "metric"]
        lines = [
            (line.row, line.network, line.seed, line.testset, image, "accuracy", 100.0 * (right == "1"))
            for line in results.scores.itertuples() if line.network != AVERAGE
            for image, right in enumerate(line.correct)
        ]
        found = pd.DataFrame(lines, columns=[*keys, "value"])
        return self._with_average(found, keys) if self.across else found

    @staticmethod
    def _with_average(lines: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
        """The lines, and after them their means over students."""
        others = [key for key in keys if key != "network"]
        means = lines.groupby(others, sort=False).mean(numeric_only=True).reset_index().assign(network=AVERAGE)
        return pd.concat([lines, means], ignore_index=True)

    def frame(self, lines: Sequence[dict]) -> pd.DataFrame:
        """The lines as a table; across architectures with the mean of the students, where all of them are there."""
        found = super().frame(lines)
        if not self.across or not len(found):
            return found
        keys = ["row", "seed", "testset"]
        whole = found.groupby(keys)["network"].transform("nunique") == len(self.networks)
        means = found[whole].groupby(keys, sort=False)[["accuracy", "best_accuracy"]].mean().reset_index()
        return pd.concat([found, means.assign(network=AVERAGE, collapsed=False)], ignore_index=True)

    def nothing(self, pictures: pd.DataFrame, metric: str) -> float | None:
        """Always naming the largest class."""
        if metric != "accuracy":
            return None
        shares = [100.0 * d.test.labels.bincount().max().item() / len(d.test) for d in self.datasets.values()]
        return sum(shares) / len(shares)

    def headroom(self, pictures: pd.DataFrame, metric: str = "accuracy") -> dict[str, Headroom]:
        """The teachers' accuracy over chance: what students of all pictures reach."""
        found = {}
        for network in self.networks:
            reached = [self.entry(self.teacher(name, network)).value["accuracy"] for name in self.datasets]
            gain = sum(reached) / len(reached) - self.nothing(pictures, "accuracy")
            found[network] = Headroom(gain, 0.0, _LEAST_HEADROOM, "points")
        return found | ({AVERAGE: found[self.networks[0]]} if self.across else {})

    # --- what is said of the run --------------------------------------------------------------------------------------

    def where(self, cell: Cell) -> str:
        """A coreset depends on data set and teacher."""
        return f", {cell.dataset or self.dataset.name}"

    def set_task(self, row: Row, seed: int, dataset: str = "", network: str = "") -> Task:
        """By default of the first data set and student; across architectures the same for all students."""
        return super().set_task(row, seed, dataset or self.dataset.name, self.across or network or self.networks[0])

    def set_tasks(self, row: Row) -> list[tuple[str, int, Task]]:
        """The row's sets: data set and student in words, seed, task."""
        return [
            (f", {dataset}, {network}", seed, self.set_task(row, seed, dataset, network))
            for dataset in self.datasets
            for network in self.distilling
            for seed in self.seeds
        ]

    def normalisation(self, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """As ``Study.normalisation``."""
        return self.datasets[where.split(", ")[1]].train.statistics

    @property
    def tests(self) -> dict[str, LabelledPictures]:
        """Test pictures by data set."""
        return {name: found.test for name, found in self.datasets.items()}

    def sizes(self, row: Row | None) -> Sizes:
        """Sizes of the row's set of seed 0 on the first data set; the last one with all that the row needs besides.

        None: of the training pictures.
        """
        if row is None:
            return sizes_of(self.dataset.train.images)
        sizes = Sizes(**self.entry(self.set_task(row, 0)).value["sizes"])
        if row.source_settings.get("rounded"):  # what is stored are the floats that were learned
            sizes = rounded_set(self.make_set(row)).sizes
        extra = row.extra_bytes(self, row) if row.extra_bytes else 0
        return replace(sizes, total_bytes=sizes.total_bytes + extra)

    def about(self) -> dict[str, str]:
        """The run in a few lines, for ``describe``."""
        return {
            **self._networks(),
            "data sets": "; ".join(
                f"{name}: {len(found.train.classes)} classes, {len(found.train):,} pictures of {found.train.size} px to "
                f"train on, {len(found.test):,} to test on" for name, found in self.datasets.items()
            ) or "none of this table in this profile",
        }  # fmt: skip

    def _networks(self) -> dict[str, str]:
        settings = {name: self.plan.classifiers[name] for name in self.networks}
        if not self.across:
            return {"students and teachers": named_settings(settings)}
        teacher = {self.across: self.plan.classifiers[self.across]}
        return {"students": named_settings(settings), "teacher": named_settings(teacher)}

    def footnotes(self, results: Results) -> list[str]:
        """What has to stand under a table of this study."""
        scores = results.scores
        teachers = f"Teacher and distilling network of all students is {self.across}" if self.across else (
            "Teachers are the students' own architecture"
        )  # fmt: skip
        gap = (scores.best_accuracy - scores.accuracy).mean() if len(scores) else 0.0
        return [
            f"Profile {self.profile.name}: {self.about()['data sets']}; {counted(len(self.seeds), 'seed')}. Top-1 accuracy in "
            "percent after the last epoch; mean ± standard deviation over seeds.",
            "The best accuracy among the epochs tested in the last fifth, chosen on the test pictures as others report it, "
            f"would be {gap:.1f} points higher on average.",
            f"{teachers}, trained on all pictures (seed 0). Pictures are augmented before the teacher labels them; the soft "
            "labels of all epochs count in the bytes.",
        ]

    @property
    def origin(self) -> str:
        """Where the training pictures are from."""
        return ", ".join(found.train.name for found in self.datasets.values())

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of training and test pictures of every data set."""
        return {f"{name}, {part}": d.parts[part].digest for name, d in self.datasets.items() for part in ("train", "test")}
