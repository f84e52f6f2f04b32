"""StyleGAN-XL (Sauer et al. 2022) as a prior, in the spaces W+ and F_n (GLaD, Cazenavette et al. 2023).

The synthesis network is an input block followed by layers, each steered by a vector w of its own. In W+ a code is all
of these vectors. In F_n it is the feature map that the input block and the first n layers put out, together with the
vectors of the layers that are still to come: those of the layers before have no influence any more and are left out.
The driver here calls the input block and the layers in turn; it works with any generator that has the same parts.

What it takes beside the checkpoint, none of it among this project's requirements: a checkout of
github.com/autonomousvision/stylegan-xl (``git clone``), whose modules the pickle asks for; ``pip install timm==0.4.12``, which
its discriminators ask for when the pickle is opened; and on a GPU, where it compiles operators of its own at first use,
``pip install ninja``, a C++ compiler, and the CUDA toolkit (``nvcc``) of the version that torch was built with. On a CPU its
plain operators run, slowly.
"""

import contextlib
import math
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.priors.prior import PriorError, check_finite, check_images, stored_bytes
from srdistill.priors.weights_file import WeightsFile
from srdistill.seeds import generator_for

# The address of the official README (github.com/autonomousvision/stylegan-xl). Neither it nor anyone else states a hash.
IMAGENET512 = WeightsFile(
    "stylegan_xl/imagenet512.pkl",
    "https://s3.eu-central-1.amazonaws.com/avg-projects/stylegan_xl/models/imagenet512.pkl",
    None,
    3_000_000_000,
)
REQUIREMENTS = (
    "StyleGAN-XL needs a checkout of github.com/autonomousvision/stylegan-xl (pass its folder as code=, or set "
    "SRDISTILL_STYLEGAN_XL_CODE), pip install timm==0.4.12, and on a GPU, for operators that it compiles, pip install ninja, a "
    "C++ compiler and the CUDA toolkit (nvcc)"
)
# GLaD clips the features that a code starts from.
_FEATURE_BOUND = 10.0
# The start of an inversion is the mean over this many w, as in StyleGAN-XL's run_inversion.py.
_DRAWS = 10_000
_CHUNK = 1_000
_GENERATOR_PARTS = ("mapping", "synthesis", "num_ws", "w_dim", "z_dim", "c_dim", "img_resolution")
_SYNTHESIS_PARTS = ("input", "layer_names")


class StyleGANXLPrior(nn.Module):
    """A style-based generator as a prior; codes are flat: (num_ws * w_dim,) in W+, see ``split`` for F_n.

    ``generator``: offers ``mapping(z, c)`` to (N, num_ws, w_dim), ``synthesis.input(w)``, the layers named in
    ``synthesis.layer_names``, called with (features, w), and ``num_ws, w_dim, z_dim, c_dim, img_resolution``; its
    pictures are (N, 3, img_resolution, img_resolution) in [-1, 1]. ``layer``: n of F_n, 0 for the output of the input
    block; None for W+. GLaD uses 16 with gradient matching. ``seed``: of the draws that the mean w is taken over.
    ``force_fp32``: asks the layers not to use half precision on a GPU, which they otherwise do at high resolutions.

    Raises:
        PriorError: the generator lacks one of its parts, or has no such layer (with the table of layers).
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        layer: int | None = None,
        seed: int = 0,
        force_fp32: bool = False,
        name: str = "StyleGAN-XL",
    ):
        super().__init__()
        _check_parts(generator, name)
        self.generator = generator
        self.eval().requires_grad_(False)
        self.layer, self.seed = layer, seed
        self.name = f"{name} {'W+' if layer is None else f'F{layer}'}"
        # The mapping is not needed to turn a code into a picture.
        self.bytes = stored_bytes(generator.synthesis)
        self._options = {"force_fp32": True} if force_fp32 else {}
        self._names = list(generator.synthesis.layer_names)
        last = len(self._names) - 1
        if layer is not None and (not isinstance(layer, int) or not 0 <= layer <= last):
            raise PriorError(f"{name} has no space F_{layer}: layer must be 0 to {last}, or None for W+\n{self.layer_table()}")
        # Asked of the network itself, for a checkpoint does not say it: one picture through the first layers.
        self._feature_shape = () if layer is None else tuple(self._run_to(self._zero_ws(), layer).shape[1:])

    def layer_table(self) -> str:
        """The spaces F_n: n, the layer whose output it is, its shape, and the vectors w that remain part of the code."""
        lines = [f"{'n':>3}  {'output of':<16}{'features':<18}vectors w left"]
        ws = self._zero_ws()
        with torch.no_grad():
            x = self.generator.synthesis.input(ws[:, 0])
            for n, after in enumerate(["input", *self._names[:-1]]):
                if n:
                    x = self._layer(n - 1, x, ws)
                lines.append(f"{n:>3}  {after:<16}{' x '.join(map(str, x.shape[1:])):<18}{len(self._names) - n}")
        return "\n".join(lines)

    def check_size(self, size: int) -> None:
        """Raise PriorError unless ``size`` px is the generator's resolution, the only one it can make."""
        made = self.generator.img_resolution
        if size != made:
            what = "smaller" if size < made else "larger"
            raise PriorError(
                f"{self.name}: pictures of {size} px are {what} than the {made} px that it makes; "
                f"use sub-images of {made} px, or a generator or autoencoder for {size} px"
            )

    def code_shape(self, size: int) -> tuple[int]:
        """(length,): the vectors w, behind the features if there are any, all in one row.

        Raises PriorError as ``check_size`` does for ``size`` px.
        """
        self.check_size(size)
        return (math.prod(self._feature_shape) * (self.layer is not None) + self._left * self.generator.w_dim,)

    @property
    def _left(self) -> int:
        """How many vectors w a code holds."""
        return self.generator.num_ws if self.layer is None else self.generator.num_ws - 1 - self.layer

    def split(self, codes: Tensor) -> tuple[Tensor | None, Tensor]:
        """Codes (N, length) as features (N, C, h, w), None in W+, and vectors (N, vectors left, w_dim); both are views.

        GLaD gives the two very different learning rates: 1 for features, 0.001 for w (gradient matching).
        """
        self._check(codes)
        if self.layer is None:
            return None, codes.unflatten(1, (self._left, self.generator.w_dim))
        length = math.prod(self._feature_shape)
        features = codes[:, :length].unflatten(1, self._feature_shape)
        return features, codes[:, length:].unflatten(1, (self._left, self.generator.w_dim))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, length) to float pictures (N, 3, size, size), meant for [0, 1], not clamped."""
        features, ws = self.split(codes)
        check_finite(self.name, codes)
        if features is None:
            features, first = self.generator.synthesis.input(ws[:, 0]), 0
            ws = ws[:, 1:]
        else:
            first = self.layer
        for index, w in enumerate(ws.unbind(1), start=first):
            features = getattr(self.generator.synthesis, self._names[index])(features, w, **self._options)
        scale = getattr(self.generator.synthesis, "output_scale", 1)
        return (features.float() * scale + 1) / 2

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """The start of an inversion, the same for every picture: the mean w over random z and classes.

        Pictures (N, 3, size, size) in [0, 1] to codes (N, length); of the pictures only number and size count.

        StyleGAN-XL's inversion takes the mean over classes that a classifier sees in the picture; there is none here.
        In F_n the features are what the mean w produces, made finite and clipped to [-10, 10].
        """
        check_images(self.name, images)
        for side in images.shape[2:]:
            self.check_size(side)
        ws = self._mean_ws().to(images.device)
        if self.layer is not None:
            features = self._run_to(ws, self.layer)
            code = torch.cat([features.flatten(1), ws[:, self.layer + 1 :].flatten(1)], 1)
        else:
            code = ws.flatten(1)
        return code.repeat(len(images), 1)

    def _mean_ws(self) -> Tensor:
        """The mean of the mapping's output over random z and, if there are classes, random classes: (1, num_ws, w_dim)."""
        device = next(self.generator.parameters()).device
        generator, total = self.generator, 0
        for chunk in range(_DRAWS // _CHUNK):
            draws = generator_for(self.seed, "mean w", chunk)
            z = torch.randn(_CHUNK, generator.z_dim, generator=draws)
            c = torch.zeros(_CHUNK, generator.c_dim)
            if generator.c_dim:
                c = F.one_hot(torch.randint(generator.c_dim, (_CHUNK,), generator=draws), generator.c_dim).float()
            total = total + generator.mapping(z.to(device), c.to(device)).float().sum(0, keepdim=True)
        return total / _DRAWS

    @torch.no_grad()
    def _run_to(self, ws: Tensor, layer: int) -> Tensor:
        """The features that enter layer ``layer`` (from 0), finite and clipped, float32."""
        x = self.generator.synthesis.input(ws[:, 0])
        for index in range(layer):
            x = self._layer(index, x, ws)
        return torch.nan_to_num(x.float()).clamp(-_FEATURE_BOUND, _FEATURE_BOUND)

    def _layer(self, index: int, x: Tensor, ws: Tensor) -> Tensor:
        return getattr(self.generator.synthesis, self._names[index])(x, ws[:, index + 1], **self._options)

    def _zero_ws(self) -> Tensor:
        device = next(self.generator.parameters()).device
        return torch.zeros(1, self.generator.num_ws, self.generator.w_dim, device=device)

    def _check(self, codes: Tensor) -> None:
        (length,) = self.code_shape(self.generator.img_resolution)
        if codes.ndim != 2 or codes.shape[1] != length or not codes.is_floating_point():
            raise PriorError(
                f"{self.name}: codes are float (N, {length}), got {codes.dtype} {tuple(codes.shape)}; "
                "make them with encode or in the shape of code_shape"
            )


def load_stylegan_xl(
    path: str | Path | None = None,
    *,
    sha256: str | None = None,
    trust_pickle: bool = False,
    code: str | Path | None = None,
    download: bool = False,
    layer: int | None = None,
    seed: int = 0,
    force_fp32: bool = False,
    device: torch.device | str = "cpu",
) -> StyleGANXLPrior:
    """StyleGAN-XL from an official checkpoint; by default ImageNet at 512 px, several GB with its discriminators.

    ``path``: the pickle; by default ``$SRDISTILL_WEIGHTS/stylegan_xl/imagenet512.pkl``. ``sha256``: the hash that you
    expect. None is published, so it must be given: take it from the file that you decide to trust, and later runs
    will use that file or none. ``trust_pickle``: opening a pickle runs whatever code is inside it, with your
    rights; these checkpoints even carry the source of their classes. Only True loads one. ``code``: folder of a checkout
    of github.com/autonomousvision/stylegan-xl, whose modules the pickle asks for. ``download``: fetch the default
    file if it is not there. ``layer, seed, force_fp32``: see ``StyleGANXLPrior``.

    Raises:
        WeightsMissing: the file is not at hand. PriorError: no hash given or another one found, the pickle is not
        trusted, needs missing modules, is damaged, holds something else, or there is no such layer.
    """
    if not trust_pickle:
        raise PriorError(
            "StyleGAN-XL comes as a pickle, and opening one can run any code with your rights, even with the right hash "
            "of a malicious file; if you trust its origin, pass trust_pickle=True"
        )
    if sha256 is None:
        raise PriorError(
            f"no hash of {IMAGENET512.url} is published; pass sha256=..., the output of "
            f"`sha256sum {Path(path or IMAGENET512.name).name}` for the file that you decide to trust"
        )
    file = WeightsFile(IMAGENET512.name, IMAGENET512.url, sha256).find(path, download)
    content = _unpickle(file, code)
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), nn.Module):
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise PriorError(f"{file}: holds no generator G_ema but {keys}; give an official checkpoint of StyleGAN-XL")
    return StyleGANXLPrior(content["G_ema"].float().to(device), layer=layer, seed=seed, force_fp32=force_fp32)


def _unpickle(file: Path, code: str | Path | None) -> object:
    with _importable(code), open(file, "rb") as opened:
        try:
            return pickle.load(opened)
        except ModuleNotFoundError as error:
            raise PriorError(
                f"{file}: the pickle needs the Python module {error.name!r}; {REQUIREMENTS}"
            ) from error
        except Exception as error:  # unpickling raises whatever the classes inside raise
            raise PriorError(
                f"{file}: cannot be unpickled ({type(error).__name__}: {error}); it is damaged, no pickle, or made for "
                "another version of the code"
            ) from error


@contextlib.contextmanager
def _importable(folder: str | Path | None) -> Iterator[None]:
    """``folder`` first on the import path, for as long as the pickle is read."""
    if folder is None:
        yield
        return
    entry = str(Path(folder).expanduser().resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)


def _check_parts(generator: nn.Module, name: str) -> None:
    missing = [part for part in _GENERATOR_PARTS if not hasattr(generator, part)]
    if not missing:
        synthesis = generator.synthesis
        missing = [f"synthesis.{part}" for part in _SYNTHESIS_PARTS if not hasattr(synthesis, part)]
        names = [] if missing else synthesis.layer_names
        missing += [f"synthesis.{layer}" for layer in names if not hasattr(synthesis, layer)]
    if missing:
        raise PriorError(
            f"{name}: {type(generator).__name__} is another architecture: it has no {', '.join(missing)}; "
            "give a generator of StyleGAN3's or StyleGAN-XL's layout"
        )
    if generator.num_ws != len(generator.synthesis.layer_names) + 1:
        raise PriorError(
            f"{name}: {generator.num_ws} vectors w do not fit an input block and {len(generator.synthesis.layer_names)} "
            "layers; give a generator in which each has one"
        )
