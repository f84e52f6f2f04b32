"""The autoencoder of Stable Diffusion 1, as Stability AI fine-tuned it: the latent space of DiT-XL/2.

One code cell of 8 x 8 pixels, 4 values. Codes are the means of the encoder's distribution, times 0.18215: the noise that
the training of DiT adds to them is left out.
"""

from pathlib import Path

from torch import Tensor, nn

from srdistill.images.torchvision_import import import_torchvision
from srdistill.priors.autoencoder import AutoencoderPrior
from srdistill.priors.pinned_model import PublishedModel
from srdistill.priors.prior import PriorError
from srdistill.rehearsing import or_random

# Their encoders are the same; "ema" is what DiT and Minimax Diffusion train with, "mse" what the latter samples with.
SD_VAE = {
    "ema": PublishedModel(
        "sd-vae-ft-ema", "AutoencoderKL", "stabilityai/sd-vae-ft-ema", "f04b2c4b98319346dad8c65879f680b1997b204a",
        size=334_643_276,
    ),
    "mse": PublishedModel(
        "sd-vae-ft-mse", "AutoencoderKL", "stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493",
        size=334_643_276,
    ),
}


class _Mean(nn.Module):
    """The first half of the channels, times ``scale``."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def forward(self, moments: Tensor) -> Tensor:
        return moments.chunk(2, dim=1)[0] * self.scale


class _Divide(nn.Module):
    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def forward(self, codes: Tensor) -> Tensor:
        return codes / self.scale


def _random_sd_vae(*_, **__) -> AutoencoderPrior:
    import_torchvision()
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=256,
    )  # fmt: skip
    return autoencoder_kl(model.eval().requires_grad_(False), "SD VAE (random)")


@or_random(_random_sd_vae)
def load_sd_vae(variant: str = "ema", path: str | Path | None = None, *, download: bool = False) -> AutoencoderPrior:
    """Stable Diffusion's autoencoder: codes (4, size / 8, size / 8), of about unit variance.

    ``variant``: ``ema`` or ``mse``, two fine-tunings of the decoder. ``path``, ``download``: see ``PublishedModel.load``; by
    default ``$SRDISTILL_WEIGHTS/sd-vae-ft-<variant>``. In half precision (``.half()``) its decoder may overflow.

    Raises:
        WeightsMissing: not at hand. PriorError: weights of something else. ValueError: unknown variant.
    """
    if variant not in SD_VAE:
        raise ValueError(f"unknown variant {variant!r} of Stable Diffusion's autoencoder; there are: {', '.join(SD_VAE)}")
    model = SD_VAE[variant].load(path, download)
    try:
        return autoencoder_kl(model, f"SD VAE ({variant})")
    except PriorError as error:
        raise PriorError(f"{path}: {error}; give {variant!r}'s own") from None


def autoencoder_kl(model: nn.Module, name: str) -> AutoencoderPrior:
    """diffusers' ``AutoencoderKL`` as a prior that shares its weights: Stable Diffusion's, or SDXL's.

    Raises PriorError if it has no quantisation layers, or means and spreads of its own for every channel.
    """
    config = model.config
    if model.quant_conv is None or model.post_quant_conv is None:
        raise PriorError(f"{name}: an autoencoder without quantisation layers is not Stable Diffusion 1's or XL's")
    if getattr(config, "latents_mean", None) is not None:
        raise PriorError(
            f"{name}: an autoencoder that normalises its codes channel by channel is not Stable Diffusion 1's or XL's"
        )
    return AutoencoderPrior(
        nn.Sequential(model.encoder, model.quant_conv, _Mean(config.scaling_factor)),
        nn.Sequential(_Divide(config.scaling_factor), model.post_quant_conv, model.decoder),
        name=name,
        channels=config.latent_channels,
        factor=2 ** (len(config.block_out_channels) - 1),
        signed=True,
    )
