"""Convolutional autoencoders as priors, and one that is trained here, on the training pictures themselves.

The offline default: diffusers' tiny autoencoder (its encoder and decoder are TAESD's) in a small configuration, fitted
to random crops by mean squared error. Its codes keep the layout of the picture: (channels, H / factor, W / factor).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from srdistill.files import atomic_path, brief
from srdistill.images.crops import CropBank
from srdistill.images.pictures import PictureError, Pictures, to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.priors.prior import PriorError, check_finite, check_images, stored_bytes
from srdistill.seeds import derive_seed, generator_for
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import LossMeter, require_finite_weights, set_rate
from srdistill.training.resumable import resumable

_WARM_UP = 50
_CLIP_NORM = 1.0


class AutoencoderPrior(nn.Module):
    """A fully convolutional autoencoder: codes (channels, H / factor, W / factor) of pictures of any such size.

    ``signed``: its networks work on [-1, 1]; the prior's pictures are in [0, 1] either way. ``bytes``: of the decoder
    as stored, if that is not the precision it is held in. ``history``: mean training losses, if it was trained here.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        name: str,
        channels: int,
        factor: int,
        signed: bool,
        bytes: int | None = None,
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.name, self.channels, self.factor, self.signed = name, channels, factor, signed
        self.bytes = stored_bytes(decoder) if bytes is None else bytes
        self.history: list[float] = []
        self.settings: dict = {}
        self.eval().requires_grad_(False)

    def check_size(self, size: int) -> None:
        """Raise PriorError unless ``size`` is a multiple of ``factor`` pixels, once or more."""
        if size < self.factor:
            raise PriorError(
                f"{self.name}: a picture of {size} px is smaller than its {self.factor} px; "
                f"use pictures of {self.factor} px or more"
            )
        if size % self.factor:
            below = size - size % self.factor
            raise PriorError(
                f"{self.name}: its factor {self.factor} does not divide {size} px; use {below} or {below + self.factor} px"
            )

    def code_shape(self, size: int) -> tuple[int, int, int]:
        """(channels, size / factor, size / factor) for pictures of ``size`` px. Raises PriorError as ``check_size`` does."""
        self.check_size(size)
        return self.channels, size // self.factor, size // self.factor

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, channels, h, w) to pictures (N, 3, factor * h, factor * w), meant for [0, 1], not clamped.

        Raises PriorError: codes of another shape, no floats, or with values that are not finite.
        """
        if codes.ndim != 4 or codes.shape[1] != self.channels or not codes.is_floating_point() or 0 in codes.shape[2:]:
            example = (self.channels, 64 // self.factor, 64 // self.factor)
            raise PriorError(
                f"{self.name}: codes are float (N, {self.channels}, h, w), e.g. (N, {', '.join(map(str, example))}) for "
                f"64 px, got {codes.dtype} {tuple(codes.shape)}; make them with encode or in the shape of code_shape"
            )
        check_finite(self.name, codes)
        images = self.decoder(codes)
        return (images + 1) / 2 if self.signed else images

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [0, 1], both sides multiples of ``factor``, to codes (N, channels, h, w)."""
        check_images(self.name, images)
        for side in images.shape[2:]:
            self.check_size(side)
        return self.encoder(images * 2 - 1 if self.signed else images)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically; ``load_autoencoder`` reads it. Raises PriorError: it was not trained here."""
        if not self.settings:
            raise PriorError(f"{self.name} was not trained here; keep the file that it was loaded from")
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state_dict().items()}
        about = {"settings": self.settings, "history": self.history}
        with atomic_path(path) as temporary:
            # Through memory: save_file hides a full disk behind an error of its own.
            temporary.write_bytes(save(tensors, metadata={"autoencoder": json.dumps(about)}))


def tiny_networks(channels: int, width: int, encoder_blocks: tuple[int, ...], decoder_blocks: tuple[int, ...]) -> nn.Module:
    """Diffusers' AutoencoderTiny, freshly initialised: ``encoder`` and ``decoder``, pictures in [-1, 1].

    ``*_blocks``: residual blocks per stage in the order in which a picture or code passes them; each stage after the
    first halves or doubles the sides.
    """
    # diffusers imports torchvision, which a CPU build of torch trips over; and it takes seconds, so only now.
    import_torchvision()
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        latent_channels=channels,
        encoder_block_out_channels=(width,) * len(encoder_blocks),
        decoder_block_out_channels=(width,) * len(decoder_blocks),
        num_encoder_blocks=encoder_blocks,
        num_decoder_blocks=decoder_blocks,
    )


def _keep_signals(networks: nn.Module) -> None:
    """Orthogonal convolutions and blocks that start as the identity.

    With torch's default weights each of these layers shrinks the signal, and the first thousand steps go into
    undoing that: 600 steps from here reach 24.7 dB on the test photographs, 1000 from there 24.6.
    """
    for module in networks.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, module in networks.named_modules():
        if name.endswith("conv.4"):  # the last convolution of a block
            nn.init.zeros_(module.weight)


@dataclass(frozen=True)
class AutoencoderRecipe:
    """The networks of an autoencoder and how they are trained; one to two minutes on two cores.

    ``factor``: pixels per code cell and side, a power of two. ``channels``: values per cell; 8 for 4 x 4 x 3 is a sixth of the
    values of the picture. ``width`` and ``blocks`` (per stage): size of the networks. ``patch``: side of the training crops in
    pixels. ``lr``: peak rate of Adam, with a short warm-up and a cosine to zero.
    """

    factor: int = 4
    channels: int = 8
    width: int = 32
    blocks: int = 1
    iterations: int = 3000
    batch: int = 8
    patch: int = 32
    lr: float = 3e-3

    def __post_init__(self):
        if self.factor < 2 or self.factor & (self.factor - 1):
            raise ValueError(f"the factor of an autoencoder is a power of two, 2 or more, got {self.factor}")
        if min(self.channels, self.width, self.blocks) < 1:
            raise ValueError(f"channels, width and blocks must be 1 or more, got {self.channels}, {self.width}, {self.blocks}")
        if min(self.iterations, self.batch) < 1:
            raise ValueError(f"iterations and batch must be 1 or more, got {self.iterations}, {self.batch}")
        if not self.lr > 0:  # false for NaN as well
            raise ValueError(f"lr must be above 0, got {self.lr}")

    @property
    def sizes(self) -> dict[str, int]:
        """What the networks are, without their training."""
        return {name: getattr(self, name) for name in ("factor", "channels", "width", "blocks")}

    def learning_rate(self, step: int) -> float:
        """The rate of step ``step``, from 0."""
        return self.lr * min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / self.iterations))


def _fresh(recipe: AutoencoderRecipe, seed: int) -> AutoencoderPrior:
    """An untrained autoencoder; torch's global generator is left as it was."""
    # Blocks at the coarsest stage only: with finer ones too, 1500 steps (torch's default weights) took 1.6 times the CPU
    # time and came to 24.8 dB on the test photographs instead of 25.6.
    stages = (*[0] * int(math.log2(recipe.factor)), recipe.blocks)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "autoencoder"))
        networks = tiny_networks(recipe.channels, recipe.width, stages, stages[::-1])
        _keep_signals(networks)
    prior = AutoencoderPrior(
        networks.encoder, networks.decoder, name=f"AE /{recipe.factor} x{recipe.channels}", channels=recipe.channels,
        factor=recipe.factor, signed=True,
    )  # fmt: skip
    prior.settings = recipe.sizes
    return prior


def train_autoencoder(
    pictures: Pictures,
    *,
    generator: torch.Generator,
    recipe: AutoencoderRecipe = AutoencoderRecipe(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "training the autoencoder",
) -> AutoencoderPrior:
    """An autoencoder fitted to random crops of ``pictures``: frozen, ready as a prior.

    ``generator``: only its ``initial_seed()`` counts. Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        Diverged: the loss became NaN or infinite. PictureError: no pictures, or one smaller than the patch.
        ValueError: the factor does not divide the patch.
    """
    seed = generator.initial_seed()
    prior = _fresh(recipe, seed)
    prior.check_size(recipe.patch)
    _check_pictures(pictures, recipe.patch)
    run = _Training(prior, pictures, recipe, seed, torch.device(device), label)
    for step in resumable(recipe.iterations, label, checkpoint, run.state, run.restore):
        run.step(step)
    require_finite_weights(prior, label, run.remedy)
    prior.history = run.meter.history["loss"]
    return prior.eval().requires_grad_(False)


def _check_pictures(pictures: Pictures, patch: int) -> None:
    if not len(pictures):
        raise PictureError("no pictures to train the autoencoder on")
    for name, image in pictures:
        if min(image.shape[1:]) < patch:
            raise PictureError(
                f"{name}: {image.shape[1]} x {image.shape[2]} px is smaller than the autoencoder's training patch of "
                f"{patch} px; use a smaller patch or leave the picture out (Pictures.at_least)"
            )


class _Training:
    """What the steps of one training change, and how."""

    def __init__(
        self,
        prior: AutoencoderPrior,
        pictures: Pictures,
        recipe: AutoencoderRecipe,
        seed: int,
        device: torch.device,
        label: str,
    ):
        self.recipe, self.seed, self.device = recipe, seed, device
        self.prior = prior.to(device).train().requires_grad_(True)
        self.bank = CropBank(pictures.images, device)
        self.optimizer = torch.optim.Adam(prior.parameters(), lr=recipe.lr)
        self.remedy = f"lower lr ({recipe.lr})"
        self.meter = LossMeter(label, self.remedy)

    def step(self, step: int) -> None:
        recipe = self.recipe
        crops = self.bank.random_crops(recipe.batch, recipe.patch, generator_for(self.seed, "autoencoder batch", step))
        images = to_float(crops).contiguous() * 2 - 1
        set_rate(self.optimizer, recipe.learning_rate(step))
        # In the networks' own range; a quarter of it is the error in [0, 1].
        loss = F.mse_loss(self.prior.decoder(self.prior.encoder(images)), images) / 4
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # Without normalisation layers, an early step can throw the decoder far off.
        nn.utils.clip_grad_norm_(self.prior.parameters(), _CLIP_NORM)
        self.optimizer.step()
        self.meter.add({"loss": loss}, step, step + 1 == recipe.iterations)

    def state(self) -> dict:
        return {
            "prior": self.prior.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.meter.state(),
        }

    def restore(self, state: dict) -> None:
        self.prior.load_state_dict(state["prior"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.meter.restore(state["losses"], self.device)


def load_autoencoder(path: str | Path) -> AutoencoderPrior:
    """Read what ``AutoencoderPrior.save`` wrote. Raises PriorError if the file is damaged or something else."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["autoencoder"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        prior = _fresh(AutoencoderRecipe(**about["settings"]), seed=0)
        prior.load_state_dict(tensors)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError, RuntimeError) as error:
        raise PriorError(f"{path}: not an autoencoder saved here, or damaged ({brief(error)}); train it again") from error
    prior.history = about["history"]
    return prior
