"""One notebook's run on super-resolution: pictures, training sets, students, scores."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file, save
from torch import Tensor, nn

from srdistill.diffusion.dit import LatentDiT
from srdistill.files import DiskError
from srdistill.images.collections import load_collection
from srdistill.images.convention import low_resolution
from srdistill.images.perceptual import Lpips, WeightsMissing
from srdistill.images.pictures import Pictures
from srdistill.networks import ARCHITECTURES, build_network
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.papers.labelfree.plan import LABEL_FREE, LabelFreePlan
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.priors.prior import Prior
from srdistill.progress import bar
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import DistilledSet, Sizes, sizes_of
from srdistill.study.cells import Cells, PerSeed, Results, Row, named_settings
from srdistill.study.diffusion import build_diffusion, fine_tuned_diffusion
from srdistill.study.generators import build_generator
from srdistill.study.identity import code_digest, plain
from srdistill.study.profiles import Profile
from srdistill.study.store import Entry
from srdistill.training.adversarial import train_adversarial
from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.training.evaluate import collapsed, evaluate, super_resolve
from srdistill.training.sr import train

BICUBIC = "Bicubic"
ORIGINAL = "Baseline (original)"


class Study(Cells):
    """The pictures, the profile and the store of one notebook on super-resolution.

    ``table``, ``profile``, ``seeds``: see ``Cells``. ``data``: a folder of one's own training pictures, with test pictures in
    its subfolder ``test`` if there is one.
    """

    # What the images of an exported set are good for.
    use = "HR training images for super-resolution. LR images are made by the trainer, by bicubic downscaling."

    def __init__(self, table: str, profile: str = "", seeds: int = 0, data: str = ""):
        super().__init__(table, profile, seeds, data)
        self.label_free: LabelFreePlan = LABEL_FREE[self.profile.name]
        self.train, self.tests = _load_pictures(self.plan, data)
        self.lpips, self.lpips_note = self._load_lpips()

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
        images, labels = self.patches.images(), self.patches.label
        return build_diffusion(
            self.plan.pretraining, images, labels, self.generator, self.store, self.device, self._checkpoint
        )

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
        images, labels = self.patches.images(), self.patches.label
        return fine_tuned_diffusion(
            self.diffusion, settings, images, labels, self.generator, seed, self.store, self.device, self._checkpoint
        )

    def _load_lpips(self) -> tuple[Lpips | None, str]:
        try:
            model = Lpips(self.profile.lpips, download=self.profile.lpips_download).to(self.device)
        except WeightsMissing as error:
            return None, str(error)
        return model, f"{model.name} (backbone weights {model.digest[:8]})"

    # --- from a row to a training set -------------------------------------------------------------------------

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
        settings = {"size": self.plan.size} | {name: self._of_seed(value, seed) for name, value in row.settings.items()}
        return self._fetch_set(row, self.train, settings, seed)

    def set_entries(self, row: Row) -> list[tuple[str, int, Entry]]:
        """The row's sets: nothing more to say of them, seed, entry."""
        return [("", seed, self.set_entry(row, seed)) for seed in self.seeds]

    def sizes(self, row: Row | None) -> Sizes:
        """The four sizes of the row's set of seed 0; None: of the training pictures."""
        return sizes_of(self.train.images) if row is None else self.make_set(row, 0).sizes

    def about(self) -> dict[str, str]:
        """The run in a few lines, for ``describe``."""
        return {
            "students": named_settings(self.plan.networks),
            "training pictures": f"{self.train.origin}: {len(self.train)} pictures, {self.train.pixels:,} pixels",
            "test pictures": "; ".join(f"{name}: {len(p)}" for name, p in self.tests.items()),
            "LPIPS": self.lpips_note.split(";")[0],
        }

    def footnotes(self, results: Results) -> list[str]:
        """What has to stand under a table of this study."""
        sizes = ", ".join(f"{name} ({len(p)})" for name, p in self.tests.items())
        return [
            f"Profile {self.profile.name}: trained on {self.train.origin} ({len(self.train)} pictures), tested on {sizes}, "
            f"x{results.scale}, {len(self.seeds)} seed(s). PSNR in dB and SSIM in RGB, {results.scale} px shaved, 8-bit "
            "outputs; mean ± standard deviation over seeds.",
            "gain %: (PSNR - bicubic) / (full data - bicubic); empty where full data is not above bicubic.",
            # Only the first half of the message: the rest names folders of this machine.
            self.lpips_note if self.lpips else f"LPIPS is empty: {self.lpips_note.split(';')[0]}",
        ]

    @property
    def origin(self) -> str:
        """Where the training pictures are from."""
        return self.train.origin

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of the training pictures and of every test set."""
        return {"train": self.train.digest} | {name: p.digest for name, p in self.tests.items()}

    def _of_seed(self, setting, seed: int):
        if isinstance(setting, Row):
            return self.make_set(setting, seed)
        return setting.make(seed) if isinstance(setting, PerSeed) else setting

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
