"""Per-image scores of a network on test pictures, under the evaluation convention."""

from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from srdistill.images.convention import MULTIPLE, bicubic, low_resolution, mod_crop
from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.measures.metrics import SSIM_WINDOW, psnr, ssim
from srdistill.measures.perceptual import Lpips

# A trained network this close to bicubic, in dB and on every test set, has learned nothing.
COLLAPSE_TOLERANCE = 0.01
# A GPU wants large batches; a CPU takes 2.4 times as long for one that its caches cannot hold.
_BATCH_PIXELS = {"cpu": 2**18, "cuda": 2**22}


def super_resolve(network: nn.Module | None, lr: Tensor, scale: int) -> Tensor:
    """LR ``uint8`` (N, 3, h, w) to SR ``uint8`` (N, 3, scale*h, scale*w); None is plain bicubic."""
    with torch.inference_mode():
        lr = to_float(lr)
        return to_uint8(bicubic(lr, scale) if network is None else network(lr))


def evaluate(
    network: nn.Module | None,
    pictures: Pictures,
    scale: int,
    *,
    device: torch.device | str = "cpu",
    lpips: Lpips | None = None,
    batch_pixels: int = 0,
) -> list[dict]:
    """Scores of each picture: ``image, psnr, ssim, psnr_y, ssim_y`` and, given a model, ``lpips``.

    Pictures of equal size go through together, at most ``batch_pixels`` HR pixels at a time (0: as many as suit the device).
    PSNR in dB and SSIM are RGB with ``scale`` pixels shaved (``_y``: luma); LPIPS sees the whole picture, as in BasicSR's
    script.

    Raises PictureError: a picture too small to score.
    """
    device = torch.device(device)
    if network is not None:
        network = network.to(device).eval()
    batch_pixels = batch_pixels or _BATCH_PIXELS.get(device.type, _BATCH_PIXELS["cpu"])
    by_size = defaultdict(list)
    smallest = SSIM_WINDOW + 2 * scale
    for position, (name, image) in enumerate(pictures):
        if min(side - side % MULTIPLE for side in image.shape[-2:]) < smallest:
            raise PictureError(
                f"{name}: {image.shape[-2]} x {image.shape[-1]} px is too small to score at x{scale}: cropped to a "
                f"multiple of {MULTIPLE} it must have {smallest} px on each side; leave it out"
            )
        by_size[tuple(mod_crop(image).shape[-2:])].append(position)
    rows: dict[int, dict] = {}
    for (height, width), positions in by_size.items():
        count = max(1, batch_pixels // (height * width))
        for start in range(0, len(positions), count):
            chosen = positions[start : start + count]
            hr = torch.stack([mod_crop(pictures.images[p]) for p in chosen]).to(device)
            sr = super_resolve(network, low_resolution(hr, scale), scale)
            columns = {
                "psnr": psnr(sr, hr, scale),
                "ssim": ssim(sr, hr, scale),
                "psnr_y": psnr(sr, hr, scale, luma=True),
                "ssim_y": ssim(sr, hr, scale, luma=True),
            }
            if lpips is not None:
                columns["lpips"] = lpips(sr, hr)
            for row, position in enumerate(chosen):
                scores = {name: float(values[row]) for name, values in columns.items()}
                rows[position] = {"image": pictures.names[position], **scores}
    return [rows[position] for position in range(len(pictures))]


class Firing:
    """Watches which channels behind a convolution's ``nn.ReLU`` are ever above 0, while it is entered.

    A channel that is 0 all over the LR versions of all pictures has no part in the output, and its filter gets no gradient:
    neither training nor matching can move it. ``network``: None, as for bicubic, has no channels.
    """

    def __init__(self, network: nn.Module | None):
        self.layers = [] if network is None else [m for m in network.modules() if isinstance(m, nn.ReLU)]
        self._fired: dict[nn.Module, Tensor] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> "Firing":
        self._hooks = [layer.register_forward_hook(self._look) for layer in self.layers]
        return self

    def __exit__(self, *_) -> None:
        for hook in self._hooks:
            hook.remove()

    def _look(self, layer: nn.Module, _, output: Tensor) -> None:
        if output.ndim != 4:  # not pictures: tokens, or positions
            return
        alive = output.amax((0, 2, 3)) > 0
        self._fired[layer] = self._fired[layer] | alive if layer in self._fired else alive

    @property
    def dead(self) -> float | None:
        """The share of channels that never fired; None for a network without such layers."""
        found = list(self._fired.values())
        return 1 - torch.cat(found).double().mean().item() if found else None


def collapsed(mean_psnr: dict[str, float], bicubic_psnr: dict[str, float]) -> bool:
    """Whether a trained network equals bicubic on every test set; arguments are PSNR in dB by test set.

    The guard that the printed VDSR rows lack: the usual VDSR recipe often never leaves its skip connection.
    """
    return all(abs(mean_psnr[name] - bicubic_psnr[name]) < COLLAPSE_TOLERANCE for name in mean_psnr)
