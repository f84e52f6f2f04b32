"""Crops, resizing and metrics against the usual ways."""

import io

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from srdistill.catalogue.photos import photos
from srdistill.images.crops import CropBank
from srdistill.measures.metrics import ssim
from srdistill.sets.distilled_set import png_bytes


def test_crops_from_memory(ratio):
    """A batch of 16 crops: one gather against decoding each PNG, as the usual loaders do."""
    pictures = photos("train")
    files = [png_bytes(image) for image in pictures.images]
    bank = CropBank(pictures.images)
    which = torch.arange(16) % len(pictures)
    top, left = torch.full((16,), 50), torch.full((16,), 70)

    def decode():
        crops = []
        for index in which.tolist():
            pixels = np.asarray(Image.open(io.BytesIO(files[index])))
            crops.append(torch.from_numpy(pixels[50:98, 70:118].copy()).permute(2, 0, 1))
        return torch.stack(crops)

    assert torch.equal(bank.crop(which, top, left, 48), decode())
    ratio(decode, lambda: bank.crop(which, top, left, 48))


def test_ssim_of_a_batch(ratio):
    """Four pictures at once against scikit-image one by one."""
    truth = torch.stack([image[:, :252, :252] for image in photos("test").images])
    noisy = (truth.int() + torch.randint(-9, 10, truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()

    def reference():
        found = []
        for a, b in zip(noisy.numpy(), truth.numpy(), strict=True):
            _, full = structural_similarity(
                a.astype(np.float64), b.astype(np.float64), channel_axis=0, data_range=255, gaussian_weights=True,
                sigma=1.5, use_sample_covariance=False, full=True,
            )  # fmt: skip
            found.append(full[:, 5:-5, 5:-5].mean())
        return np.array(found)

    assert np.abs(ssim(noisy, truth).numpy() - reference()).max() < 1e-6
    ratio(reference, lambda: ssim(noisy, truth))
