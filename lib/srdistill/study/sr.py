"""Studies of super-resolution: students are trained on a set, and scored picture by picture."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd
from torch import Tensor, nn

from srdistill.catalogue.collections import collection_needs
from srdistill.images.convention import low_resolution
from srdistill.images.pictures import Pictures
from srdistill.measures.perceptual import WeightsMissing
from srdistill.rehearsing import rehearsing
from srdistill.sets.distilled_set import Sizes, sizes_of
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.metrics import METRICS
from srdistill.study.pictures import lpips_model, pictures
from srdistill.study.rows import BICUBIC, ORIGINAL, Cell, Results, Row
from srdistill.study.settings import TestSet, named_settings
from srdistill.study.steps.networks import NETWORK
from srdistill.study.steps.scores import SCORES
from srdistill.study.study import Study
from srdistill.study.verdicts.gates import Headroom
from srdistill.study.words import counted
from srdistill.training.adversarial import train_adversarial
from srdistill.training.adversarial_recipe import AdversarialRecipe, judged_by_its_own_loss
from srdistill.training.evaluate import collapsed, evaluate, super_resolve
from srdistill.training.sr import train

# What full data has to gain over bicubic before training sets have room to differ in, by metric, and its unit.
_LEAST_HEADROOM = {
    "psnr": (0.5, "dB"), "psnr_y": (0.5, "dB"), "ssim": (0.01, "of SSIM"), "ssim_y": (0.01, "of SSIM"),
    "lpips": (0.02, "of LPIPS"),
}  # fmt: skip


class SRStudy(Study):
    """See ``Study``. The plan names training pictures, test sets, students and their recipes.

    ``data``: a folder of one's own training pictures, with test pictures in its subfolder ``test`` if there is one.
    """

    metrics = ("psnr", "ssim", "psnr_y", "ssim_y", "lpips")
    # Labels of rows that train on everything; the first that a table has is what headroom is measured by.
    full_rows: tuple[str, ...] = (ORIGINAL,)
    use = "HR training images for super-resolution. LR images are made by the trainer, by bicubic downscaling."

    # --- pictures -----------------------------------------------------------------------------------------------------

    def real(self, dataset: str = "") -> Resource:
        """The training pictures."""
        plan, own = self.plan, bool(self.data)
        least = max(plan.train_min_side, plan.crop) if own or plan.train_min_side else 0
        return pictures(self.data if own else plan.train, "train", plan.train_side, least)

    def sources(self) -> Resource:
        """The training pictures that sets are made of: all of them, or as many as the plan says, large enough to be matched."""
        plan, most = self.plan, getattr(self.plan, "source_pictures", 0)  # a paper's plan need not know of it
        if self.data or not most:
            return self.real()
        return pictures(plan.train, "train", plan.train_side, max(plan.train_min_side, plan.crop), most)

    def at_scales(self, label: str, scales: Sequence[float]) -> Row:
        """A row of all training pictures and their copies at smaller ``scales``."""
        everything = self.real().settings
        given = {name: everything[name] for name in ("collection", "split", "side")}
        students = self.table.networks or self.plan.networks
        least = max(everything["least"], max(self.plan.recipe(name, self.table.scale).patch for name in students))
        return self.row(label, None, pictures=pictures(**given, least=least, scales=scales))

    @cached_property
    def test_sets(self) -> dict[str, Resource]:
        """The test sets by name."""
        own = Path(self.data, "test") if self.data else None
        if own and own.is_dir():
            return {"own": pictures(str(own), "test", self.plan.tests[0].side)}
        there = [test for test in self.plan.tests if test not in self.left_out]
        return {test.name: pictures(test.collection, "test", test.side) for test in there}

    @cached_property
    def left_out(self) -> list[TestSet]:
        """Optional test sets that are not at hand: a column less."""
        optional = [test for test in self.plan.tests if test.optional and not rehearsing()]
        return [test for test in optional if not all(need.found for need in collection_needs(test.collection))]

    @property
    def train(self) -> Pictures:
        """The training pictures, loaded."""
        return self.real().load()

    @property
    def tests(self) -> dict[str, Pictures]:
        """The test pictures by set, loaded."""
        return {name: found.load() for name, found in self.test_sets.items()}

    @property
    def lpips_declared(self) -> Resource | None:
        """The perceptual metric that the profile asks for, at hand or not; None if it asks for none."""
        if not self.profile.lpips_measured:
            return None
        settings = {"backbone": self.profile.lpips, "download": self.profile.lpips_download}
        return Resource(lpips_model, settings, hashed=True)

    @cached_property
    def lpips(self) -> Resource | None:
        """The perceptual metric; None where it is not measured, or its weights are not at hand."""
        found = self.lpips_declared
        if found is None:
            profile = self.profile.name
            self.lpips_note = f"not measured in profile {profile}, which downloads nothing; its weights would be needed"
            return None
        try:
            self.lpips_note = f"{found.load().name} (backbone weights {found.digest[:8]})"
        except WeightsMissing as error:
            self.lpips_note = str(error)
            return None
        return found

    def set_defaults(self, row: Row) -> dict:
        """Every method is told what to make images of, and their side."""
        return {"real": self.sources(), "size": self.plan.size}

    # --- from a row to scores -----------------------------------------------------------------------------------------

    def student(self, row: Row, network: str, seed: int, scale: int = 0) -> Task:
        """The task that trains a student on the row's set, or on all pictures: what ``network=`` of a method takes.

        ``scale``: 0 is the table's. Raises ValueError: a network that the plan has not.
        """
        if network not in self.plan.networks:
            raise ValueError(f"unknown network {network!r}; there are: {', '.join(self.plan.networks)}")
        scale = scale or self.table.scale
        recipe, sizes = self.plan.recipe(network, scale), dict(self.plan.networks[network])
        if row.longer > 1:
            recipe = replace(recipe, iterations=recipe.iterations * row.longer)
        settings = {
            "images": row.settings.get("pictures", self.real()) if row.method is None else self.set_task(row, seed),
            "architecture": sizes.pop("architecture", network),
            "sizes": sizes,
            "recipe": recipe,
            "scale": scale,
        }
        function = train_adversarial if isinstance(recipe, AdversarialRecipe) else train
        return Task(NETWORK, function, settings, seed, self.device, label=f"{network} on {row.label}, seed {seed}")

    def scoring(self, network: Task | None, scale: int = 0) -> Task:
        """The task that scores a network on all test sets; None: bicubic."""
        settings = {"network": network, "tests": self.test_sets, "scale": scale or self.table.scale, "lpips": self.lpips}
        return Task(SCORES, evaluate, settings, 0, self.device, label=f"scores of {network.label if network else BICUBIC}")

    def trained(self, row: Row, network: str, seed: int = 0, scale: int = 0) -> tuple[nn.Module, list | dict, float]:
        """The student trained on the row's set: the network, its loss curve (curves by name for a GAN), and the seconds."""
        task = self.student(row, network, seed, scale)
        entry = self.entry(task)
        return self.open(task), entry.value["history"], entry.seconds

    def bicubic(self, scale: int = 0) -> dict[str, list[dict]]:
        """Scores of plain bicubic by test set, one entry per picture."""
        return self.entry(self.scoring(None, scale)).value["scores"]

    def super_resolved(
        self, rows: Sequence[Row], network: str, truth: Tensor, scale: int = 0, seed: int = 0
    ) -> dict[str, Tensor]:
        """What bicubic, and the student trained on each row, make of the LR picture of ``truth``, ``uint8`` (3, H, W).

        ``truth``: sides multiples of ``scale`` (``mod_crop``). Keys are ``BICUBIC`` and the labels of the rows.
        """
        scale = scale or self.table.scale
        small = low_resolution(truth, scale).to(self.device)[None]
        outputs = {BICUBIC: super_resolve(None, small, scale)[0].cpu()}
        for row in rows:
            outputs[row.label] = super_resolve(self.open(self.student(row, network, seed, scale)), small, scale)[0].cpu()
        return outputs

    def cells(self, rows: Sequence[Row], networks: Sequence[str] = (), scale: int = 0) -> list[Cell]:
        """Bicubic, then every row and student, seed by seed."""
        networks = list(networks or self.table.networks or self.plan.networks)
        found = [Cell(None, "bicubic", None, self.scoring(None, scale))]
        for seed in self.seeds:
            for row in rows:
                students = [(network, self.student(row, network, seed, scale)) for network in networks]
                found += [Cell(row, network, seed, self.scoring(task, scale), task) for network, task in students]
        return found

    def context(self, cells: Sequence[Cell], answers: Mapping[str, dict]) -> dict[str, float]:
        """Mean PSNR of bicubic by test set."""
        bicubic = next((cell for cell in cells if cell.row is None), None)
        scores = answers[bicubic.task.key]["scores"] if bicubic else {}
        return {name: _mean_psnr(found) for name, found in scores.items()}

    def lines(self, cell: Cell, answer: dict, context: dict[str, float]) -> list[dict]:
        """A line for each picture. ``dead``: see ``Firing``."""
        scores, dead = answer["scores"], answer["dead"]
        flat = cell.row is not None and bool(context) and collapsed({n: _mean_psnr(s) for n, s in scores.items()}, context)
        row = BICUBIC if cell.row is None else cell.row.label
        who = {"row": row, "network": cell.network, "seed": cell.seed}
        return [
            who | {"testset": name, "collapsed": flat, "dead": dead[name]} | line
            for name, found in scores.items()
            for line in found
        ]

    # --- what verdicts need -------------------------------------------------------------------------------------------

    above, doing_nothing = "above bicubic", "bicubic"

    def per_picture(self, results: Results) -> pd.DataFrame:
        """A line for each picture and metric."""
        keys = ["row", "network", "seed", "testset", "image"]
        measured = [name for name in self.metrics if name in results.scores]
        return results.scores[[*keys, *measured]].melt(keys, var_name="metric").dropna(subset="value")

    def nothing(self, pictures: pd.DataFrame, metric: str) -> float | None:
        """Bicubic's mean."""
        found = pictures[(pictures.row == BICUBIC) & (pictures.metric == metric)]["value"]
        return float(found.mean()) if len(found) else None

    def called(self, network: str) -> str:
        """With its scale."""
        return f"{network} ×{self.table.scale}"

    def headroom(self, pictures: pd.DataFrame, metric: str = "psnr") -> dict[str, Headroom]:
        """What full data gains over bicubic (the first of ``full_rows`` that was run): a GAN may lose PSNR where it gains in
        LPIPS."""
        values, bicubic = pictures[pictures.metric == metric], self.nothing(pictures, metric)
        if bicubic is None:
            return {}
        label = next((label for label in self.full_rows if (values.row == label).any()), "")
        full = values[values.row == label].groupby(["network", "seed"])["value"].mean()
        sign = -1 if METRICS[metric].lower_is_better else 1
        return {
            str(network): Headroom(sign * (float(found.mean()) - bicubic), _spread(found), *_LEAST_HEADROOM[metric])
            for network, found in full.groupby("network")
        }

    # --- what is said of the run --------------------------------------------------------------------------------------

    def set_tasks(self, row: Row) -> list[tuple[str, int, Task]]:
        """The row's sets: nothing more to say of them, seed, task."""
        return [("", seed, self.set_task(row, seed)) for seed in self.seeds]

    def sizes(self, row: Row | None) -> Sizes:
        """The four sizes of the row's set of seed 0; None: of the training pictures."""
        return sizes_of(self.train.images) if row is None else Sizes(**self.entry(self.set_task(row, 0)).value["sizes"])

    def about(self) -> dict[str, str]:
        """The run in a few lines, for ``describe``."""
        lpips = "" if self.lpips is None else self.lpips_note
        return {
            "students": named_settings(self.plan.networks),
            "training pictures": f"{self.train.origin}: {len(self.train)} pictures, {self.train.pixels:,} pixels",
            "test pictures": "; ".join(f"{name}: {len(p)}" for name, p in self.tests.items()),
            "LPIPS": lpips or self.lpips_note.split(";")[0],
        }

    def footnotes(self, results: Results) -> list[str]:
        """What has to stand under a table of this study."""
        sizes = ", ".join(f"{name} ({len(p)})" for name, p in self.tests.items())
        recipes = {name: self.plan.recipe(name, results.scale) for name in results.networks}
        flattered = judged_by_its_own_loss(recipes, self.profile.lpips) if self.lpips else ""
        return [
            f"Profile {self.profile.name}: trained on {self.train.origin} ({len(self.train)} pictures), tested on {sizes}, "
            f"x{results.scale}, {counted(len(self.seeds), 'seed')}. PSNR in dB and SSIM in RGB, {results.scale} px shaved, "
            "8-bit outputs; mean ± standard deviation over seeds.",
            "gain %: (PSNR - bicubic) / (full data - bicubic); empty where full data is not above bicubic.",
            *(f"{test.name} has no column: its pictures are not at hand, and nobody offers them." for test in self.left_out),
            # Only the first half of the message: the rest names folders of this machine.
            self.lpips_note if self.lpips else f"LPIPS is empty: {self.lpips_note.split(';')[0]}",
            *([flattered] if flattered else []),
        ]

    @property
    def origin(self) -> str:
        """Where the training pictures are from."""
        return self.train.origin

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of the training pictures and of every test set."""
        return {"train": self.real().digest} | {name: found.digest for name, found in self.test_sets.items()}


def _spread(values: pd.Series) -> float:
    """Standard deviation over seeds; 0 for one."""
    return float(values.std()) if len(values) > 1 else 0.0


def _mean_psnr(scores: Iterable[dict]) -> float:
    values = [line["psnr"] for line in scores]
    return sum(values) / len(values)
