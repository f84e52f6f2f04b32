"""What a patch shows, according to networks that others trained: ImageNet's MobileNetV2, and CLIP's ViT-B/32.

CLIP ViT-B/32 is what "Dataset Distillation for Super-Resolution without Class Labels and Pre-trained Models" clusters by
(section III-A). No SR network is among them, and no label of the pictures at hand.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from srdistill.files import brief, sha256_of
from srdistill.images.pictures import check_patches, to_float
from srdistill.images.resize import resize
from srdistill.images.torchvision_import import import_torchvision
from srdistill.images.torchvision_weights import find_torchvision_weights, torchvision_need
from srdistill.needs import Need
from srdistill.priors.prior import PriorError
from srdistill.priors.weights_file import WeightsFile
from srdistill.rehearsing import or_random
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder

# A PyTorch conversion of the int8 network of Keras's applications; 66 % on ImageNette's validation pictures as 1000 classes.
MOBILENET = WeightsFile(
    "imagenet_backbones/mobilenet_v2_keras_int8dequant.pth",
    "a conversion of the quantised MobileNetV2 in https://github.com/phil137786/optimizing-models",
    "0bc2e9febf1496d243496b39ff8dc40245cb352890e5ff98479e92ec1653652c",
    14_200_000,
)
# The file name holds the beginning of its SHA-256.
TORCHVISION_MOBILENET = "mobilenet_v2-7ebf99e0.pth"
_TORCHVISION_AT = f"https://download.pytorch.org/models/{TORCHVISION_MOBILENET}"
# The commit of huggingface.co/openai/clip-vit-base-patch32 that holds the weights as safetensors, which its main branch
# does not; several public projects state these hashes.
_CLIP = "clip-vit-base-patch32"
_CLIP_AT = f"https://huggingface.co/openai/{_CLIP}/resolve/b33cedfd0df4e43b8238760678fcc89e1a0d38b3/"
CLIP_CONFIG = WeightsFile(
    f"{_CLIP}/config.json",
    _CLIP_AT + "config.json",
    "b575ef3c36f2a057fa19e221650105052d61cc9c1a972ec15019c6261ec98770",
)
CLIP_WEIGHTS = WeightsFile(
    f"{_CLIP}/model.safetensors",
    _CLIP_AT + "model.safetensors",
    "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d",
    605_157_884,
)
_KERAS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# Windows at a time. On a CPU what one layer makes should still be in the cache when the next one reads it: measured for
# MobileNetV2 on one thread, 13 ms a window four at a time and 25 ms 32 at a time.
_BATCH = {"cpu": 4}
_BATCH_ELSEWHERE = 64


class LearnedFeatures(nn.Module):
    """``uint8`` windows (N, 3, H, W), square, to float32 (N, d) on the CPU.

    Windows are resized to ``side`` px by bicubic, clamped, and normalised by ``statistics`` (mean and standard deviation per
    channel, in [0, 1]). ``network``: float (n, 3, side, side) to (n, d). ``name``: for tables and provenance.
    """

    def __init__(self, network: nn.Module, name: str, side: int, statistics: tuple[tuple[float, ...], ...]):
        super().__init__()
        self.network, self.name, self.side = network, name, side
        self.register_buffer("statistics", torch.tensor(statistics)[:, None, :, None, None], persistent=False)
        network.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, windows: Tensor) -> Tensor:
        """Raises PictureError for windows of another shape or type."""
        check_patches(windows)
        mean, deviation = self.statistics
        found = []
        for part in windows.split(_BATCH.get(mean.device.type, _BATCH_ELSEWHERE)):
            images = resize(to_float(part.to(mean.device)), (self.side, self.side)).clamp(0, 1)
            images = ((images - mean) / deviation).contiguous(memory_format=torch.channels_last)
            found.append(self.network(images).float().cpu())
        return torch.cat(found)


class _Pooled(nn.Module):
    """A torchvision MobileNetV2 up to the mean over positions: (n, 3, H, W) to (n, 1280)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.features = model.features

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).mean((2, 3))


class _ImageEmbedding(nn.Module):
    """CLIP's image tower with its projection: (n, 3, S, S) to (n, d)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).image_embeds


def _random_mobilenet(statistics: tuple[tuple[float, ...], ...], device: torch.device | str) -> LearnedFeatures:
    import_torchvision()
    from torchvision.models import mobilenet_v2

    model = _Pooled(mobilenet_v2(weights=None))
    return LearnedFeatures(model, "MobileNetV2 (random)", 224, statistics).to(device)


def _random_clip(*_, device: torch.device | str = "cpu", **__) -> LearnedFeatures:
    import_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig()  # its defaults are ViT-B/32
    model = _ImageEmbedding(CLIPVisionModelWithProjection(config))
    return LearnedFeatures(model, "CLIP ViT-B/32 (random)", config.image_size, _OPENAI).to(device)


@or_random(lambda *_, device="cpu", **__: _random_mobilenet(_KERAS, device))
def load_mobilenet(path: str | Path | None = None, *, device: torch.device | str = "cpu") -> LearnedFeatures:
    """ImageNet's MobileNetV2 with the weights of Keras: (N, 1280), input x / 127.5 - 1 at 224 px.

    ``path``: the file with its weights; by default ``MOBILENET.name`` under ``SRDISTILL_WEIGHTS``.

    Raises:
        WeightsMissing: not at hand; nobody offers it for download. PriorError: another hash.
    """
    try:
        file = MOBILENET.find(path)
    except WeightsMissing as error:
        where = path or (weights_folder() or Path(f"${VARIABLE}")) / MOBILENET.name
        raise WeightsMissing(
            f"no weights of MobileNetV2 at {where}; put them there ({MOBILENET.url}), or use torchvision's own, which can be "
            "downloaded (load_torchvision_mobilenet, features='mobilenet_torchvision'), or features='hog'"
        ) from error
    return _mobilenet(file, "MobileNetV2 (Keras)", _KERAS).to(device)


@or_random(lambda *_, device="cpu", **__: _random_mobilenet(_IMAGENET, device))
def load_torchvision_mobilenet(*, download: bool = False, device: torch.device | str = "cpu") -> LearnedFeatures:
    """ImageNet's MobileNetV2 with torchvision's weights (IMAGENET1K_V2): (N, 1280), at 224 px.

    The file is looked for in ``imagenet_backbones`` under ``SRDISTILL_WEIGHTS``, then among torch's downloads.
    ``download``: fetch it if it is not there.

    Raises:
        WeightsMissing: not at hand, and ``download`` is off or fails. PriorError: another hash than its name says.
    """
    place = f"imagenet_backbones/{TORCHVISION_MOBILENET}"
    file = find_torchvision_weights("MobileNetV2", place, "MobileNet_V2_Weights.IMAGENET1K_V2", download)
    known, actual = Path(TORCHVISION_MOBILENET).stem.rsplit("-", 1)[1], sha256_of(file)
    if not actual.startswith(known):
        raise PriorError(f"{file}: SHA-256 {actual} does not begin with {known}; fetch it again from {_TORCHVISION_AT}")
    return _mobilenet(file, "MobileNetV2 (torchvision)", _IMAGENET).to(device)


def torchvision_mobilenet_need() -> Need:
    """The weights of ``load_torchvision_mobilenet``, without loading them."""
    place = f"imagenet_backbones/{TORCHVISION_MOBILENET}"
    return torchvision_need("MobileNetV2 (torchvision)", place, "MobileNet_V2_Weights.IMAGENET1K_V2", True)


def _mobilenet(file: Path, name: str, statistics: tuple[tuple[float, ...], ...]) -> LearnedFeatures:
    import_torchvision()
    from torchvision.models import mobilenet_v2

    model = mobilenet_v2(weights=None)
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return LearnedFeatures(_Pooled(model), name, 224, statistics)


@or_random(_random_clip)
def load_clip(
    folder: str | Path | None = None,
    *,
    download: bool = False,
    check_hash: bool = True,
    device: torch.device | str = "cpu",
) -> LearnedFeatures:
    """CLIP ViT-B/32 (OpenAI): its image features behind the projection, (N, 512), at 224 px.

    ``folder``: holds ``config.json`` and ``model.safetensors`` as transformers saves a CLIPModel; by default
    ``$SRDISTILL_WEIGHTS/clip-vit-base-patch32``. ``download``: fetch them (605 MB), at a pinned revision, if they are not
    there. ``check_hash``: False accepts a CLIP of your own, of any size.

    Raises:
        WeightsMissing: not at hand, and ``download`` is off or fails. PriorError: another hash, or no CLIP.
    """
    found = []
    for known in (CLIP_CONFIG, CLIP_WEIGHTS):
        path = Path(folder, Path(known.name).name) if folder else None
        found.append(WeightsFile(known.name, known.url, known.sha256 if check_hash else None).find(path, download))
    config_file, weights_file = found
    import_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    try:
        config = CLIPVisionConfig.from_pretrained(config_file, local_files_only=True)
        state = load_file(weights_file)
    except (OSError, ValueError, SafetensorError) as error:
        raise PriorError(f"{config_file.parent}: no readable CLIP ({error}); fetch it again from {_CLIP_AT}") from error
    model = CLIPVisionModelWithProjection(config)
    # from_pretrained would leave what is missing at random values, with a warning.
    try:
        model.load_state_dict({name: state[name] for name in model.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise PriorError(
            f"{weights_file}: no weights of the CLIP that {config_file.name} describes ({brief(error)})"
        ) from error
    return LearnedFeatures(_ImageEmbedding(model), "CLIP ViT-B/32", config.image_size, _OPENAI).to(device)
