"""The diffusion transformer: codes kept, losses of the whole batch at once, pictures sampled together, each against the
plain way."""

import copy
from collections import defaultdict

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.diffusion.dit import new_dit
from srdistill.diffusion.encoded_patches import encode_patches
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.sampling import Sampling, sample_pictures
from srdistill.diffusion.training import train_dit
from srdistill.images.pictures import to_float
from srdistill.images.subimages import extract_sub_images
from srdistill.papers.labelfree.minimax import ClassMemory, diversity, representativeness
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder

CLASSES, SIZE = 7, 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def prior():
    """The autoencoder of the laptop profile, hardly trained: its time does not depend on that."""
    pictures = photos("train").center_crop(256)
    recipe = AutoencoderRecipe(iterations=20)
    return train_autoencoder(pictures, generator=torch.Generator().manual_seed(0), recipe=recipe).to(DEVICE)


@pytest.fixture(scope="module")
def data(prior):
    """63 patches of 64 px, nine of each photograph; the photograph is the class."""
    windows = extract_sub_images(photos("train").center_crop(256), SIZE, 80)
    patches = torch.cat([windows.of(label)[:9] for label in range(CLASSES)])
    return encode_patches(prior, patches, torch.arange(CLASSES).repeat_interleave(9), device=DEVICE)


@pytest.fixture(scope="module")
def model(data):
    dit = new_dit(channels=8, side=16, classes=CLASSES, generator=torch.Generator().manual_seed(0), width=128, depth=4, heads=4)
    dit.normalise_for(data.codes.cpu())
    return dit.to(DEVICE)


def train(model, data, trained="all"):
    model, draws = copy.deepcopy(model), torch.Generator().manual_seed(0)
    recipe = DiffusionRecipe(iterations=4, batch=8)
    return model, train_dit(model, data, recipe=recipe, generator=draws, trained=trained, device=DEVICE)


def test_kept_codes(ratio, model, data, prior):
    """Four training steps on codes kept from before, against encoding each batch as the usual loops do."""

    def encode_each_time():
        for step in range(4):
            shown = data.view_of(torch.arange(8 * step, 8 * step + 8, device=DEVICE), torch.arange(8, device=DEVICE) % 2 == 0)
            fresh = prior.encode(to_float(shown))
        return fresh, train(model, data)[1]

    fresh, _ = encode_each_time()
    kept = data.codes[torch.arange(24, 32), (torch.arange(8) % 2 == 0).long()]
    assert (fresh - kept).abs().max() < 1e-4
    ratio(encode_each_time, lambda: train(model, data))


def test_diffit_step(ratio, model, data):
    """Four steps on a twentieth of the weights, against all of them: the gradient still goes through every block."""
    ratio(lambda: train(model, data), lambda: train(model, data, trained="diffit"))


def test_minimax_losses(ratio, data):
    """Both losses with full memories and their gradient, batch of 8: one product, against lists and a loop over classes."""
    draws = torch.Generator().manual_seed(0)
    width = data.codes[0, 0].numel()
    known = torch.randn(CLASSES * 64, width, generator=draws).to(DEVICE)
    names = torch.arange(CLASSES, device=DEVICE).repeat_interleave(64)
    real, made = ClassMemory(CLASSES, 64, width, DEVICE), ClassMemory(CLASSES, 64, width, DEVICE)
    real.push(known, names), made.push(-known, names)
    lists = {"real": defaultdict(list), "made": defaultdict(list)}
    for vector, label in zip(known, names.tolist(), strict=True):
        lists["real"][label].append(vector[None])
        lists["made"][label].append(-vector[None])
    predicted = torch.randn(8, width, generator=draws).to(DEVICE).requires_grad_()
    labels = torch.randint(CLASSES, (8,), generator=draws).to(DEVICE)

    def ours():
        loss = representativeness(predicted, labels, real) + diversity(predicted, labels, made)
        return loss.detach(), torch.autograd.grad(loss, predicted)[0]

    def plain():
        present = sorted(set(labels.tolist()))
        loss = 0
        for label in present:
            chosen = predicted[labels == label]
            near = F.cosine_similarity(chosen[:, None], torch.cat(lists["real"][label])[None], dim=2).min()
            far = F.cosine_similarity(chosen[:, None], torch.cat(lists["made"][label])[None], dim=2).max()
            loss = loss + (1 - near + far) / len(present)
        return loss.detach(), torch.autograd.grad(loss, predicted)[0]

    for a, b in zip(ours(), plain(), strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max().clamp(min=1e-3)
    ratio(plain, ours)


def test_sampling_together(ratio, model, data, prior):
    """14 pictures in ten steps, in one batch against one by one as Minimax Diffusion samples."""
    labels = torch.arange(CLASSES).repeat_interleave(2)

    def draw(batch):
        sampling = Sampling(steps=10, batch=batch, decode_batch=batch)
        draws = torch.Generator().manual_seed(0)
        return sample_pictures(model, prior, labels, size=SIZE, generator=draws, sampling=sampling, device=DEVICE)[0]

    assert (draw(1).int() - draw(14).int()).abs().max() <= 1
    ratio(lambda: draw(1), lambda: draw(14), rounds=3)
