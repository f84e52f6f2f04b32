"""One notebook's run: pictures, rows, cells from the store or computed, scores.

A *row* of a table is a way to make a training set. A *cell* is one row, one student network and one seed: the set is made,
the network trained on it, the test pictures scored. Sets, networks and scores are stored separately, by everything that
they depend on, so whatever two tables share is computed once and an interrupted run goes on where it stopped.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from srdistill.distill.distilled_set import DistilledSet, SetError
from srdistill.distill.dit import LatentDiT
from srdistill.distill.patch_pool import PatchPool
from srdistill.distill.pseudo_labels import pseudo_labelled_patches
from srdistill.files import DiskError
from srdistill.images.collections import load_collection
from srdistill.images.convention import low_resolution
from srdistill.images.perceptual import Lpips, WeightsMissing
from srdistill.images.pictures import Pictures
from srdistill.networks import ARCHITECTURES, build_network
from srdistill.priors.prior import Prior
from srdistill.progress import bar
from srdistill.seeds import derive_seed, generator_for
from srdistill.study.diffusion import build_diffusion, fine_tuned_diffusion
from srdistill.study.generators import build_generator
from srdistill.study.identity import code_digest, key_of, plain
from srdistill.study.label_free_plan import LABEL_FREE, LabelFreePlan
from srdistill.study.paths import output_root, store_root
from srdistill.study.profiles import Profile, get_profile
from srdistill.study.store import Entry, Store
from srdistill.training.adversarial import train_adversarial
from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.evaluate import collapsed, evaluate, super_resolve
from srdistill.training.sr import train

BICUBIC = "Bicubic"
ORIGINAL = "Baseline (original)"


class CellsFailed(RuntimeError):
    """Some cells of the table could not be computed; the rest is stored."""


@dataclass(frozen=True)
class PerSeed:
    """A setting that differs from seed to seed, a model that was fine-tuned with it, say, and the ``seconds`` it took."""

    make: Callable[[int], object]
    seconds: Callable[[int], float]


@dataclass(frozen=True)
class Row:
    """A way to make a training set: a method and its settings, or the pictures themselves (``method`` None).

    A setting that is itself a row stands for that row's set of the same seed, and a ``PerSeed`` for what it makes of the seed.
    """

    label: str
    method: Callable[..., DistilledSet] | None = None
    settings: dict = field(default_factory=dict)


@dataclass
class Results:
    """What a run gave. ``scores``: one line per row, network, seed, test set and picture. ``failures``: what did not."""

    rows: list[Row]
    networks: list[str]
    scale: int
    scores: pd.DataFrame
    failures: list[str]
    computed: int
    seconds: float


class Study:
    """The pictures, the profile and the store of one notebook.

    ``table``: the printed table it reproduces (``dietz_t1``). ``profile``, ``seeds``, ``data``: the notebook's parameters;
    0 seeds and empty strings mean the profile's own. ``data``: a folder of one's own training pictures, with test
    pictures in its subfolder ``test`` if there is one.
    """

    def __init__(self, table: str, profile: str = "", seeds: int = 0, data: str = ""):
        self.table = table
        self.profile: Profile = get_profile(profile)
        if seeds < 0 or seeds != int(seeds):
            raise ValueError(f"seeds must be a whole number, 1 or more (0: the profile's own), got {seeds}")
        self.seeds = list(range(int(seeds) or self.profile.seeds))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Two runs are to agree bit for bit; cuDNN's search for the fastest kernel is what mostly prevents it.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        self.store = Store(store_root())
        self.label_free: LabelFreePlan = LABEL_FREE[self.profile.name]
        self.train, self.tests = _load_pictures(self.plan, data)
        self.label = self.profile.name if not data else f"own-{Path(data).name}"
        self.output = output_root(self.label)
        self.lpips, self.lpips_note = self._load_lpips()
        self.distilled: list[str] = []  # the sets that were not in the store

    @property
    def plan(self) -> Profile | LabelFreePlan:
        """What the table's own paper needs of the profile."""
        return self.label_free.of_table(self.table) if self.table.startswith("labelfree") else self.profile

    @cached_property
    def _generator(self) -> tuple[Prior, float]:
        plan = self.plan
        return build_generator(plan.prior, plan.prior_settings, self.train, self.store, self.device, self._checkpoint)

    @property
    def generator(self) -> Prior:
        """The generator of latent space that the plan names; trained, or loaded, when first asked for."""
        return self._generator[0]

    @cached_property
    def patches(self) -> PatchPool:
        """The informative patches of the training pictures with their pseudo-classes, the same for all seeds."""
        return pseudo_labelled_patches(
            self.train, size=self.plan.size, generator=generator_for(0, "patches"), device=self.device, **self.plan.selection
        )

    @cached_property
    def _diffusion(self) -> tuple[LatentDiT, float]:
        return build_diffusion(self.plan.pretraining, self.patches, self.generator, self.store, self.device, self._checkpoint)

    @property
    def diffusion(self) -> LatentDiT:
        """The diffusion model before fine-tuning, the same for all seeds: trained on the patches, or DiT-XL/2."""
        return self._diffusion[0]

    @property
    def pretraining_seconds(self) -> dict[str, float]:
        """What training the ``generator`` and the ``diffusion`` model from scratch took; 0 for published ones."""
        return {"generator": self._generator[1], "diffusion": self._diffusion[1]}

    def fine_tuned(self, seed: int) -> tuple[LatentDiT, dict[str, list[float]], float]:
        """The diffusion model fine-tuned with this seed, the losses of that, and the seconds it took."""
        # A model that was trained on these classes knows them already; DiT-XL/2 knows others.
        settings = ({"rows": "keep"} if self.plan.pretraining else {}) | self.plan.fine_tuning
        return fine_tuned_diffusion(
            self.diffusion, settings, self.patches, self.generator, seed, self.store, self.device, self._checkpoint
        )

    def _load_lpips(self) -> tuple[Lpips | None, str]:
        try:
            model = Lpips(self.profile.lpips, download=self.profile.lpips_download).to(self.device)
        except WeightsMissing as error:
            return None, str(error)
        return model, f"{model.name} (backbone weights {model.digest[:8]})"

    # --- from a row to a training set -------------------------------------------------------------------------

    def row(self, label: str, method: Callable[..., DistilledSet] | None = None, **settings) -> Row:
        """A row of the table. ``method`` gets the training pictures, ``size``, a generator, and ``settings``."""
        return Row(label, method, settings)

    def matching(self, ipc: int, **settings) -> dict:
        """The profile's settings of ``gradient_matching`` for this IPC; keyword arguments replace or add.

        The task loss is a mean over the class's images, so each of ten gets a tenth of the gradient: the learning rate
        grows with IPC to make up for it.
        """
        p = self.profile
        return {
            "ipc": ipc,
            "network": p.matching_network,
            "iterations": p.iterations if ipc == 1 else p.iterations_ipc10,
            "lr": p.image_lr * ipc,
            "crop": p.crop,
            "step": p.step,
            "batch_real": p.batch_real,
        } | settings

    def inverting(self, loss: str, **settings) -> dict:
        """The profile's settings of ``gan_inversion``, one crop per picture, with one of ``inversion.LOSSES``.

        Where the profile names a perceptual distance, ``published`` gets it, as in the published inversions.
        """
        chosen = {"ipc": 1, "size": self.profile.latent_size, "prior": self.generator, "loss": loss} | self.profile.inversion
        backbone = chosen.pop("perceptual", "")
        if backbone and loss == "published":
            chosen["perceptual"] = Lpips(backbone, download=self.profile.lpips_download).model.to(self.device)
        return chosen | settings

    def latent(self, start: Row, network: dict | nn.Module, **settings) -> dict:
        """The profile's settings of ``latent_matching``, from the row ``start`` of ``gan_inversion``."""
        p = self.profile
        return {
            "ipc": 1,
            "size": p.latent_size,
            "prior": self.generator,
            "start": start,
            "network": network,
            "crop": p.crop,
            "step": p.step,
            "batch_real": p.batch_real,
        } | p.latent | settings  # fmt: skip

    def sampled(self, count: int, fine_tuned: bool) -> dict:
        """The settings of ``dit_samples`` for ``count`` pictures, of the diffusion model as it is or fine-tuned."""
        return {
            "count": count,
            "model": PerSeed(lambda seed: self.fine_tuned(seed)[0], lambda seed: self.fine_tuned(seed)[2])
            if fine_tuned
            else self.diffusion,
            "prior": self.generator,
            "training": {"pretraining": self.plan.pretraining} | ({"fine_tuning": self.plan.fine_tuning} if fine_tuned else {}),
        } | self.plan.sampling

    def gsdd(self, count: int, network: nn.Module) -> dict:
        """The plan's settings of ``gsdd`` for ``count`` pictures, matched in the features of a trained ``network``."""
        return {
            "count": count,
            "patches": self.patches.images(),
            "labels": self.patches.label,
            "prior": self.generator,
            "network": network,
        } | self.plan.gsdd

    def make_set(self, row: Row, seed: int) -> DistilledSet:
        """The row's training set for this seed, from the store if it is there."""
        return DistilledSet.load(self.set_entry(row, seed).tensors)

    def set_entry(self, row: Row, seed: int) -> Entry:
        """Where the store keeps the row's training set for this seed; made if it is not there."""
        if row.method is None:
            raise ValueError(f"{row.label}: the original pictures are not a distilled set; see Study.train")
        accepted = inspect.signature(row.method).parameters
        settings = {"size": self.plan.size} | {name: self._of_seed(value, seed) for name, value in row.settings.items()}
        spec = {
            "method": getattr(row.method, "__qualname__", repr(row.method)),
            "code": code_digest(row.method),
            "settings": plain(settings),
            "pictures": self.train.digest,
            "seed": seed,
            "device": self.device.type,
        }

        def make():
            given = dict(settings)
            if "device" in accepted:
                given["device"] = self.device
            if "checkpoint" in accepted:
                given["checkpoint"] = self._checkpoint("sets", spec)
            made = row.method(self.train, generator=generator_for(seed, "set"), **given)
            if not isinstance(made, DistilledSet):
                raise TypeError(f"{row.label}: the method returned a {type(made).__name__}; it must return a DistilledSet")
            if not len(made):
                raise SetError(f"{row.label}: the method returned a set without images")
            return {"digest": made.digest}, made.save

        entry = self.store.fetch("sets", spec, make)
        if entry.fresh:
            self.distilled.append(f"{row.label}, seed {seed}")
        return entry

    def _of_seed(self, setting, seed: int):
        if isinstance(setting, Row):
            return self.make_set(setting, seed)
        return setting.make(seed) if isinstance(setting, PerSeed) else setting

    def _checkpoint(self, kind: str, spec: dict) -> Checkpoint:
        path = self.store.path(kind, spec, ".checkpoint")
        return Checkpoint(path, key_of(spec), self.profile.checkpoint_every)

    # --- from a training set to scores ------------------------------------------------------------------------

    def trained(self, row: Row, network: str, seed: int, scale: int = 2) -> tuple[nn.Module, list | dict, float]:
        """The student trained on the row's set: the network, its loss curve (curves by name for a GAN), and the seconds."""
        images, data = self._training_images(row, seed)
        return self._fetch_network(images, data, network, seed, scale, f"{network} on {row.label}, seed {seed}")[1:]

    def _training_images(self, row: Row, seed: int) -> tuple[list[Tensor], str]:
        """The images of a row and their digest."""
        if row.method is None:
            return list(self.train.images), self.train.digest
        made = self.make_set(row, seed)
        return list(made.images), made.digest

    def _fetch_network(self, images, data: str, network: str, seed: int, scale: int, label: str):
        if network not in self.plan.networks:
            raise ValueError(f"unknown network {network!r}; there are: {', '.join(self.plan.networks)}")
        recipe, sizes = self.plan.recipe(network, scale), dict(self.plan.networks[network])
        architecture = sizes.pop("architecture", network)
        training = train_adversarial if isinstance(recipe, AdversarialRecipe) else train
        spec = {
            "images": data,
            "network": network,
            "sizes": plain(sizes),
            "recipe": plain(asdict(recipe)),
            "scale": scale,
            "seed": seed,
            "code": [code_digest(training), code_digest(ARCHITECTURES[architecture])],
            "device": self.device.type,
        }

        def make():
            fresh = build_network(architecture, scale, derive_seed(seed, "student"), **sizes)
            checkpoint = self._checkpoint("networks", spec)
            best, history = training(fresh, images, recipe, scale=scale, seed=seed, device=self.device,
                                     checkpoint=checkpoint, label=label)  # fmt: skip
            weights = {name: tensor.cpu().contiguous() for name, tensor in best.state_dict().items()}
            return {"history": history}, lambda path: path.write_bytes(save(weights))

        entry = self.store.fetch("networks", spec, make)
        model = build_network(architecture, scale, 0, **sizes)
        model.load_state_dict(load_file(entry.tensors))
        return entry, model.to(self.device).eval(), entry.value["history"], entry.seconds

    def super_resolved(
        self, rows: Sequence[Row], network: str, truth: Tensor, scale: int = 2, seed: int = 0
    ) -> dict[str, Tensor]:
        """What bicubic, and the student trained on each row, make of the LR picture of ``truth``, ``uint8`` (3, H, W).

        ``truth``: sides multiples of ``scale`` (``mod_crop``). Keys are ``BICUBIC`` and the labels of the rows.
        """
        small = low_resolution(truth, scale).to(self.device)[None]
        outputs = {BICUBIC: super_resolve(None, small, scale)[0].cpu()}
        for row in rows:
            model, _, _ = self.trained(row, network, seed, scale)
            outputs[row.label] = super_resolve(model, small, scale)[0].cpu()
        return outputs

    def bicubic(self, scale: int = 2) -> dict[str, list[dict]]:
        """Scores of plain bicubic by test set, one entry per picture."""
        return self._scores(None, "bicubic", scale)

    def _scores(self, model: nn.Module | None, identity: str, scale: int) -> dict[str, list[dict]]:
        spec = {
            "network": identity,
            "tests": {name: pictures.digest for name, pictures in self.tests.items()},
            "scale": scale,
            "lpips": f"{self.lpips.name} {self.lpips.digest}" if self.lpips else "",
            "code": code_digest(evaluate),
            "device": self.device.type,
        }

        def make():
            found = {
                name: evaluate(model, pictures, scale, device=self.device, lpips=self.lpips)
                for name, pictures in self.tests.items()
            }
            return {"scores": found}, None

        return self.store.fetch("scores", spec, make).value["scores"]

    def run(self, rows: Sequence[Row], networks: Sequence[str], scale: int = 2) -> Results:
        """All cells of a table. A cell that fails is reported in the results and not stored; the others go on."""
        lines, failures, fresh, seconds = [], [], 0, 0.0
        bicubic = self.bicubic(scale)
        reference = {name: _mean_psnr(scores) for name, scores in bicubic.items()}
        lines += _lines(BICUBIC, "bicubic", None, bicubic, False)
        # Sets first, seed by seed, so that a failing method is known early.
        work = [(seed, row) for seed in self.seeds for row in rows]
        for seed, row in bar(work, f"{self.table}: training sets and students"):
            try:
                images, data = self._training_images(row, seed)
            except DiskError:
                raise  # the next cell would be lost as well
            except Exception as error:
                failures.append(f"{row.label}, seed {seed}: {type(error).__name__}: {error}")
                continue
            for network in networks:
                label = f"{network} on {row.label}, seed {seed}"
                try:
                    entry, model, _, took = self._fetch_network(images, data, network, seed, scale, label)
                    scores = self._scores(model, entry.key, scale)
                except DiskError:
                    raise
                except Exception as error:
                    failures.append(f"{label}: {type(error).__name__}: {error}")
                    continue
                fresh += entry.fresh
                seconds += took
                means = {name: _mean_psnr(found) for name, found in scores.items()}
                lines += _lines(row.label, network, seed, scores, collapsed(means, reference))
        return Results(list(rows), list(networks), scale, pd.DataFrame(lines), failures, fresh, seconds)


def _load_pictures(profile: Profile | LabelFreePlan, data: str) -> tuple[Pictures, dict[str, Pictures]]:
    pictures = load_collection(data) if data else load_collection(profile.train, "train")
    if profile.train_side:
        pictures = pictures.center_crop(profile.train_side)
    if profile.train_min_side or data:
        pictures = pictures.at_least(max(profile.train_min_side, profile.crop))
    own_tests = Path(data, "test") if data else None
    if own_tests and own_tests.is_dir():
        side = profile.tests[0].side
        own = load_collection(str(own_tests))
        return pictures, {"own": own.center_crop(side) if side else own}
    tests = {}
    for test in profile.tests:
        found = load_collection(test.collection, "test")
        tests[test.name] = found.center_crop(test.side) if test.side else found
    return pictures, tests


def _mean_psnr(scores: Iterable[dict]) -> float:
    values = [line["psnr"] for line in scores]
    return sum(values) / len(values)


def _lines(row: str, network: str, seed: int | None, scores: dict[str, list[dict]], is_collapsed: bool) -> list[dict]:
    return [
        {"row": row, "network": network, "seed": seed, "testset": name, "collapsed": is_collapsed} | line
        for name, found in scores.items()
        for line in found
    ]
