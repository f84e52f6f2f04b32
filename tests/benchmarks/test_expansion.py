"""The coreset's selection and expansion: each against the plain way."""

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.diffusion.dit import new_dit
from srdistill.diffusion.engine import expand
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.images.resized_crops import draw_boxes, resized_crops
from srdistill.networks.classifiers import build_classifier
from srdistill.papers.coreset.expanding import expanded_source
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches, padded
from srdistill.papers.coreset.expanding.expanded_source import ExpandedSource
from srdistill.papers.coreset.expanding.expansion import Expansion
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder
from srdistill.seeds import generator_for
from srdistill.training.classification import train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.made_ahead import MadeAhead
from srdistill.training.soft_labels import soft_labels

CLASSES, SIDE = 7, 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Teacher(torch.nn.Module):
    """A small network with global pooling, as the teachers of the study are; random weights take the same time."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45))
        torch.manual_seed(0)
        layers, channels = [], 3
        for _ in range(3):
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
            layers += [torch.nn.AvgPool2d(2)]
            channels = width
        self.body, self.head = torch.nn.Sequential(*layers), torch.nn.Linear(width, CLASSES)

    def forward(self, images):
        return self.head(self.body((images - self.mean) / 0.25).mean((2, 3)))


@pytest.fixture(scope="module")
def teacher():
    return Teacher().to(DEVICE).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def data():
    """56 crops of 64 px, eight of each photograph; the photograph is the class."""
    draws = torch.Generator().manual_seed(0)
    images = []
    for _, picture in photos("train"):
        for _ in range(8):
            y, x = (int(torch.randint(side - SIDE, (), generator=draws)) for side in picture.shape[1:])
            images.append(picture[:, y : y + SIDE, x : x + SIDE])
    return torch.stack(images), torch.arange(CLASSES).repeat_interleave(8)


def test_scoring_together(ratio, teacher, data):
    """Selection of 28 of 280 crops, scored many at a time, against one by one."""
    real = LabelledPictures(*data, tuple(map(str, range(CLASSES))))

    def select():
        draws = torch.Generator().manual_seed(0)
        return coreset_patches(real, teacher=teacher, ipc=1, factor=2, device=DEVICE, generator=draws).images

    assert (select().int() - plain_selection(teacher, *data).int()).abs().max() <= 1
    ratio(lambda: plain_selection(teacher, *data), select)


@torch.no_grad()
def plain_selection(teacher, images, labels):
    """One crop at a time."""
    boxes = draw_boxes(5 * len(images), SIDE, generator_for(0, "coreset crops")).tolist()
    kept = []
    for label in range(CLASSES):
        best = []
        for index in (labels == label).nonzero().flatten().tolist():
            scored = []
            for top, left, height, width in boxes[5 * index : 5 * index + 5]:
                crop = to_float(images[index : index + 1, :, top : top + height, left : left + width]).to(DEVICE)
                patch = F.interpolate(crop, (32, 32), mode="bilinear", antialias=True).mul(255).round() / 255
                shown = padded(patch, SIDE, tuple(teacher.mean.flatten().tolist()))
                loss = F.cross_entropy(teacher(shown), torch.tensor([label], device=DEVICE))
                scored.append((float(loss), patch[0].mul(255).round().byte().cpu()))
            best.append(min(scored, key=lambda pair: pair[0]))
        kept += [patch for _, patch in sorted(best, key=lambda pair: pair[0])[:4]]
    return torch.stack(kept)


def test_crops_together(ratio, data):
    """280 random crops resized to 32 px, as two products each, against interpolate one by one."""
    images = to_float(data[0]).to(DEVICE)
    boxes = draw_boxes(5 * len(images), SIDE, torch.Generator().manual_seed(0))

    def plain():
        found = []
        for index, (top, left, height, width) in enumerate(boxes.tolist()):
            crop = images[index // 5, None, :, top : top + height, left : left + width]
            found.append(F.interpolate(crop, (32, 32), mode="bilinear", antialias=True))
        return torch.cat(found)

    assert (plain() - resized_crops(images, boxes, 32)).abs().max() < 1e-5
    ratio(plain, lambda: resized_crops(images, boxes, 32))


@pytest.fixture(scope="module")
def engine():
    """A diffusion transformer on the codes of an autoencoder, both as good as untrained: their time does not depend on that."""
    pictures = photos("train").center_crop(256)
    recipe = AutoencoderRecipe(iterations=10)
    prior = train_autoencoder(pictures, generator=torch.Generator().manual_seed(0), recipe=recipe)
    model = new_dit(
        channels=8, side=16, classes=CLASSES, generator=torch.Generator().manual_seed(0), width=128, depth=4, heads=4
    )
    return LatentDiffusionEngine(model, prior, working_size=SIDE, device=DEVICE)


@pytest.fixture(scope="module")
def patches(data):
    """28 patches of 32 px."""
    return data[0][::2, :, ::2, ::2].contiguous(), data[1][::2]


def test_expansion_together(ratio, engine, patches):
    """28 patches to 64 px at rho 0.8, 16 at a time against one by one."""

    def make(batch):
        return expand(engine, *patches, list(range(28)), rho=0.8, size=SIDE, batch=batch)

    assert (make(1).int() - make(16).int()).abs().max() <= 1
    ratio(lambda: make(1), lambda: make(16), rounds=3)


def test_codes_made_once(ratio, engine, teacher, patches, monkeypatch):
    """Three epochs of patches that are mixed two and two: their codes kept, against codes made whenever they are needed."""

    def epochs(kept):
        monkeypatch.setattr(expanded_source, "_KEPT", kept)
        source = ExpandedSource(
            engine, teacher, *patches, classes=CLASSES, size=SIDE, seed=0, expansion=Expansion(rho=0.8, mixup=(0.5, 1.0)),
            device=DEVICE,
        )  # fmt: skip
        return torch.stack([source(epoch)[0] for epoch in range(3)])

    assert (epochs(0).int() - epochs(2**29).int()).abs().max() <= 1
    ratio(lambda: epochs(0), lambda: epochs(2**29), rounds=3)


def test_labels_in_the_same_pass(ratio, engine, teacher, patches):
    """An epoch's pictures and labels at once, against a pass that makes and labels and a second that makes them to train on."""
    source = ExpandedSource(
        engine, teacher, *patches, classes=CLASSES, size=SIDE, seed=0, expansion=Expansion(rho=0.8), device=DEVICE
    )

    def separately():
        def make():
            return expand(engine, *patches, source.seeds(0), rho=0.8, size=SIDE)

        labels = soft_labels(teacher, make(), CLASSES, DEVICE)
        return make(), labels

    for a, b in zip(source(0), separately(), strict=True):
        assert (a.float() - b.float()).abs().max() <= 1e-2 * (1 if a.is_floating_point() else 100)
    ratio(separately, lambda: source(0), rounds=3)


@pytest.mark.skipif(DEVICE.type == "cpu", reason="on a CPU making pictures and training on them share the cores")
def test_made_ahead(ratio, engine, teacher, patches):
    """Three epochs of training with the next epoch's pictures made meanwhile, against making them in between."""
    source = ExpandedSource(
        engine, teacher, *patches, classes=CLASSES, size=SIDE, seed=0, expansion=Expansion(rho=0.8), device=DEVICE
    )
    recipe = ClassificationRecipe(3, batch=4, channels_last=True)
    names = tuple(map(str, range(CLASSES)))

    def train(pictures):
        student = build_classifier("ResNet18", classes=names, size=SIDE, seed=0)
        return train_student(student, pictures, recipe, generator=torch.Generator().manual_seed(0), device=DEVICE)["loss"]

    def ahead():
        with MadeAhead(source, recipe.epochs) as pictures:
            return train(pictures)

    assert train(source) == pytest.approx(ahead(), rel=1e-3)
    ratio(lambda: train(source), ahead)
