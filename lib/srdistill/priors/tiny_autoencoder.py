"""TAEF2, a pretrained tiny autoencoder (Ollin Boer Bohan, MIT licence), which imitates that of FLUX.2.

One code cell of 32 values stands for 8 x 8 pixels, one value for 6 of the picture; round trip of Set5: 31.13 dB.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from srdistill.files import brief
from srdistill.priors.autoencoder import AutoencoderPrior
from srdistill.priors.prior import PriorError
from srdistill.priors.weights_file import WeightsFile
from srdistill.rehearsing import or_random

_TAEF2_AT = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/"
# No hash is published; these are of the files with which the 31.13 dB were measured.
TAEF2_ENCODER = WeightsFile(
    "taesd/taef2_encoder.pth",
    _TAEF2_AT + "taef2_encoder.pth",
    "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6",
    2_704_692,
)
TAEF2_DECODER = WeightsFile(
    "taesd/taef2_decoder.pth",
    _TAEF2_AT + "taef2_decoder.pth",
    "0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5",
    2_704_756,
)
_WIDTH = 64
_FACTOR = 8


def _random_taef2(*_, **__) -> AutoencoderPrior:
    return AutoencoderPrior(*taef2_networks(), name="TAEF2 (random)", channels=32, factor=_FACTOR, signed=False)


@or_random(_random_taef2)
def load_taef2(folder: str | Path | None = None, *, download: bool = False, check_hash: bool = True) -> AutoencoderPrior:
    """TAEF2: codes (32, size / 8, size / 8). Stored as float16, run in float32.

    ``folder``: holds ``taef2_encoder.pth`` and ``taef2_decoder.pth``; by default ``$SRDISTILL_WEIGHTS/taesd``.
    ``download``: fetch them from a pinned commit if they are not there. ``check_hash``: False accepts weights of your
    own in the same architecture.

    Raises:
        WeightsMissing: not at hand. PriorError: another hash, or weights of another architecture.
    """
    states = []
    networks = taef2_networks()
    for network, known in zip(networks, (TAEF2_ENCODER, TAEF2_DECODER), strict=True):
        path = Path(folder, Path(known.name).name) if folder else None
        file = WeightsFile(known.name, known.url, known.sha256 if check_hash else None).find(path, download)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises many kinds for a damaged file
            raise PriorError(
                f"{file}: no readable file of weights ({type(error).__name__}); fetch it again from {known.url}"
            ) from error
        _load(network, state, file, "TAEF2")
        states.append(state)
    encoder, decoder = networks
    return AutoencoderPrior(encoder, decoder, name="TAEF2", channels=32, factor=_FACTOR, signed=False, bytes=_bytes(states[1]))


def _load(network: nn.Module, state: object, file: Path, name: str) -> None:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PriorError(f"{file}: holds {type(state).__name__} instead of a dictionary of weights; it is not {name}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise PriorError(
            f"{file}: weights of another architecture than {name} ({brief(error)}); give the file of {name}, or use the loader "
            "of that architecture"
        ) from error


def _bytes(state: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


class SoftClamp(nn.Module):
    """3 tanh(x / 3), of any shape: leaves values near zero as they are and bounds all by 3."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


class Block(nn.Module):
    """Three 3x3 convolutions with a skip; with ``pool``, a residual branch that sees the whole picture goes first.

    That branch is two 1x1 convolutions around a group normalisation, whose statistics are taken over all positions.
    (N, 64, h, w) in and out.
    """

    def __init__(self, pool: bool = False):
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        if pool:
            wide = 4 * _WIDTH
            self.pool = nn.Sequential(
                nn.Conv2d(_WIDTH, wide, 1, bias=False), nn.GroupNorm(4, wide), nn.ReLU(), nn.Conv2d(wide, _WIDTH, 1, bias=False)
            )
        else:
            self.pool = None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(x + self.conv(x))


def _conv(channels_in: int = _WIDTH, channels_out: int = _WIDTH, **options) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, **options)


def taef2_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder, freshly initialised; positions in the sequences are the keys of the published weights."""
    encoder: list[nn.Module] = [_conv(3), Block()]
    decoder: list[nn.Module] = [SoftClamp(), _conv(32), nn.ReLU()]
    for stage in range(3):
        encoder += [_conv(stride=2, bias=False), *[Block(pool=stage == 2) for _ in range(3)]]
        decoder += [*[Block(pool=stage == 0) for _ in range(3)], nn.Upsample(scale_factor=2), _conv(bias=False)]
    encoder += [_conv(channels_out=32)]
    decoder += [Block(), _conv(channels_out=3)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)
