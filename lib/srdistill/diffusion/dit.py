"""The diffusion transformer that learns a collection's latents (Peebles and Xie, ICCV 2023), on top of diffusers' module.

Three things differ from ``DiTTransformer2DModel`` as it comes. Its blocks share one embedding of time and label, as in
the paper. Labels are dropped by the training loop, not inside: diffusers' blocks would each drop labels of their own,
from the global generator. And time is embedded with the frequencies 10000^(-i/128) that the published weights were
trained with, where diffusers has 10000^(-i/127).
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from srdistill.diffusion.diffit import add_scales, has_scales
from srdistill.files import atomic_path
from srdistill.images.torchvision_import import import_torchvision
from srdistill.priors.pinned_model import PublishedModel
from srdistill.priors.prior import Prior
from srdistill.rehearsing import or_random
from srdistill.seeds import derive_seed

# By the side of their pictures in px. The revisions are the heads of their main branches since 2023.
DIT_XL = {
    size: PublishedModel(
        f"DiT-XL-2-{size}", "DiTTransformer2DModel", f"facebook/DiT-XL-2-{size}", revision, "transformer", 2_700_000_000
    )
    for size, revision in {
        256: "eab87f77abd5aef071a632f08807fbaab0b704d0",
        512: "101a3d462b22d64c4afdd4d0c8c59a2c0b961b99",
    }.items()
}
# What the label rows of pseudo-classes start from.
ROWS = ("null", "mean", "keep")


class DiTError(ValueError):
    """A model, label or checkpoint that cannot be worked with; the message names the value and the remedy."""


class LatentDiT(nn.Module):
    """A diffusers ``DiTTransformer2DModel`` with the normalisation of the latents that it works on.

    ``classes``: labels 0 .. classes - 1 are in use; ``null_label``, the last row of the table, stands for no label.
    ``mean``, ``std``: (1, C, 1, 1), of the codes of the prior, channel by channel; latents are (codes - mean) / std.
    """

    def __init__(self, transformer: nn.Module, name: str, classes: int | None = None):
        super().__init__()
        self.transformer, self.name = transformer, name
        config = transformer.config
        self.channels, self.side, self.depth = config.in_channels, config.sample_size, config.num_layers
        self.learns_variance = transformer.out_channels == 2 * self.channels
        if transformer.out_channels not in (self.channels, 2 * self.channels):
            raise DiTError(
                f"{name}: {transformer.out_channels} output channels for {self.channels} of the latents; a noise model "
                "has as many, or twice as many if it learns the variance"
            )
        self.null_label = config.num_embeds_ada_norm
        self.classes = self.null_label if classes is None else classes
        self._share_embedding()
        rows = len(self.label_table)
        if rows != self.null_label + 1:
            raise DiTError(
                f"{name}: its label table has {rows} rows where {self.null_label} classes and the null label need "
                f"{self.null_label + 1}; guidance needs a model trained with label dropout"
            )
        if not 1 <= self.classes <= self.null_label:
            raise DiTError(f"{name}: {self.classes} classes in use, but its label table holds 1 to {self.null_label}")
        self.register_buffer("mean", torch.zeros(1, self.channels, 1, 1))
        self.register_buffer("std", torch.ones(1, self.channels, 1, 1))

    def _share_embedding(self) -> None:
        first, *others = self.transformer.transformer_blocks
        shared = first.norm1.emb
        for index, block in enumerate(others, start=1):
            pairs = zip(shared.parameters(), block.norm1.emb.parameters(), strict=True)
            if any(not ours.is_meta and not torch.equal(ours, theirs) for ours, theirs in pairs):
                raise DiTError(
                    f"{self.name}: block {index} embeds time and label otherwise than block 0; this is no DiT whose "
                    "blocks share the embedding, e.g. one that was fine-tuned with diffusers' copies trained apart"
                )
            block.norm1.emb = shared
        shared.class_embedder.dropout_prob = 0.0
        shared.time_proj.downscale_freq_shift = 0

    @property
    def label_table(self) -> nn.Parameter:
        """The label embeddings (rows, width); the last row is the null label's."""
        return self.transformer.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.weight

    @property
    def bytes(self) -> int:
        """What its weights take as stored, each once."""
        return sum(weight.numel() * weight.element_size() for weight in self.parameters())

    def normalise_for(self, codes: Tensor) -> None:
        """Take mean and spread of each channel from codes (N, ..., C, h, w); a constant channel is only centred."""
        values = codes.detach().double().movedim(-3, 0).flatten(1)
        std = values.std(1)
        self.mean.copy_(values.mean(1).view_as(self.mean))
        self.std.copy_(torch.where(std > 1e-6, std, 1.0).view_as(self.std))

    def to_latents(self, codes: Tensor) -> Tensor:
        """Codes of the prior (..., C, h, w) to latents of about zero mean and unit variance."""
        return (codes - self.mean[0]) / self.std[0]

    def to_codes(self, latents: Tensor) -> Tensor:
        """Latents (..., C, h, w) to codes of the prior: the inverse of ``to_latents``."""
        return latents * self.std[0] + self.mean[0]

    def forward(self, latents: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        """Noisy latents (B, C, h, w), timesteps (B,) in 0..999 and labels (B,) to the noise (B, C or 2 C, h, w).

        The second C channels, if there are any, interpolate the variance's logarithm between its bounds, from -1 to 1.
        """
        return self.transformer(latents, timestep=timesteps, class_labels=labels, return_dict=False)[0]

    def check_labels(self, labels: Tensor) -> None:
        """Raise DiTError unless ``labels`` are integers (N,) in 0 .. classes - 1."""
        if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise DiTError(f"{self.name}: labels are integers (N,), got {labels.dtype} {tuple(labels.shape)}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise DiTError(
                f"{self.name}: labels in {int(labels.min())}..{int(labels.max())}, but it has classes 0..{self.classes - 1}; "
                "renumber them, or prepare the model for more (use_label_rows)"
            )

    def check_prior(self, prior: Prior, size: int) -> None:
        """Raise DiTError unless the codes of ``prior`` for pictures of ``size`` px are this model's latents."""
        expected, shape = (self.channels, self.side, self.side), tuple(prior.code_shape(size))
        if shape != expected:
            raise DiTError(
                f"{self.name} works on latents {expected}, but codes of {prior.name} for pictures of {size} px are {shape}; "
                "use the prior that the model was trained with, and pictures of its size"
            )

    def weights(self) -> dict[str, Tensor]:
        """All weights and buffers by name, each in its own shape, shared ones once; ``load_weights`` takes them."""
        return {name: tensor.detach() for name, tensor in [*self.named_parameters(), ("mean", self.mean), ("std", self.std)]}

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Set what ``weights`` gave, in the same shapes. Raises DiTError if a tensor is missing or too many."""
        wrong = sorted(set(tensors) ^ set(self.weights()))
        if wrong:
            raise DiTError(f"{self.name}: {len(wrong)} tensors do not fit the model, first {wrong[0]}")
        self.load_state_dict(tensors, strict=False)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically; ``load_dit`` reads it. Scale factors of DiffFit are kept as they are."""
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.weights().items()}
        about = {
            "config": {key: value for key, value in self.transformer.config.items() if not key.startswith("_")},
            "name": self.name,
            "classes": self.classes,
            "scales": has_scales(self.transformer),
        }
        with atomic_path(path) as temporary:
            # Through memory: save_file hides a full disk behind an error of its own.
            temporary.write_bytes(save(tensors, metadata={"latent_dit": json.dumps(about)}))


def _transformer(config: dict) -> nn.Module:
    # diffusers imports torchvision, which a CPU build of torch trips over; and it takes seconds, so only now.
    import_torchvision()
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(**config)
    first, *others = model.transformer_blocks
    for block in others:
        block.norm1.emb = first.norm1.emb
    return model


def new_dit(
    *,
    channels: int,
    side: int,
    classes: int,
    generator: torch.Generator,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    patch: int = 2,
    learn_variance: bool = False,
    name: str = "",
) -> LatentDiT:
    """A fresh, small DiT for latents (channels, side, side), initialised as in the paper: every block starts as identity.

    ``generator``: only its ``initial_seed()`` counts; torch's global generator is left as it was. ``patch``: side of a token in
    latent cells; there are (side / patch)^2 tokens of ``width`` values. Raises DiTError for sizes that cannot work.
    """
    if min(channels, side, classes, width, depth, heads, patch) < 1:
        raise DiTError(
            f"channels, side, classes, width, depth, heads and patch must be 1 or more, got {channels}, {side}, {classes}, "
            f"{width}, {depth}, {heads}, {patch}"
        )
    if side % patch:
        raise DiTError(f"tokens of {patch} cells do not divide latents of {side} x {side} cells; use another patch or size")
    if width % heads or width % 4:
        raise DiTError(f"width {width} must be a multiple of the {heads} heads and of 4 (sine and cosine, two axes)")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(generator.initial_seed(), "dit"))
        transformer = _transformer({
            "num_attention_heads": heads, "attention_head_dim": width // heads, "in_channels": channels,
            "out_channels": channels * (2 if learn_variance else 1), "num_layers": depth, "sample_size": side,
            "patch_size": patch, "num_embeds_ada_norm": classes,
        })  # fmt: skip
        _initialise(transformer)
    return LatentDiT(transformer, name or f"DiT {depth}x{width}/{patch}").eval()


@torch.no_grad()
def _initialise(transformer: nn.Module) -> None:
    """The paper's start (adaLN-Zero); diffusers leaves torch's defaults."""
    for module in transformer.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    patches = transformer.pos_embed.proj
    nn.init.xavier_uniform_(patches.weight.view(len(patches.weight), -1))
    nn.init.zeros_(patches.bias)
    embedding = transformer.transformer_blocks[0].norm1.emb
    nn.init.normal_(embedding.class_embedder.embedding_table.weight, std=0.02)
    for linear in (embedding.timestep_embedder.linear_1, embedding.timestep_embedder.linear_2):
        nn.init.normal_(linear.weight, std=0.02)
    for linear in [
        *(block.norm1.linear for block in transformer.transformer_blocks),
        transformer.proj_out_1,
        transformer.proj_out_2,
    ]:
        nn.init.zeros_(linear.weight)


def _random_dit_xl(path: str | Path | None = None, *, size: int = 256, download: bool = False) -> LatentDiT:
    return new_dit(
        channels=4, side=size // 8, classes=1000, generator=torch.Generator().manual_seed(0), width=1152, depth=28, heads=16,
        learn_variance=True, name="DiT-XL/2 (random)",
    )  # fmt: skip


@or_random(_random_dit_xl)
def pretrained_dit(path: str | Path | None = None, *, size: int = 256, download: bool = False) -> LatentDiT:
    """DiT-XL/2 for pictures of ``size`` px, 256 or 512 (675 M weights, 1000 ImageNet classes), which works on codes of Stable
    Diffusion's autoencoder.

    ``path``: a folder with another DiT in diffusers' layout; by default ``$SRDISTILL_WEIGHTS/DiT-XL-2-<size>``, then
    Hugging Face's cache. ``download``: fetch the pinned revision if it is nowhere.

    Raises:
        WeightsMissing: not at hand. PriorError: weights of another model. DiTError: a model that is no DiT with a null label,
        or a size that none was published for.
    """
    if size not in DIT_XL:
        sizes = " and ".join(map(str, DIT_XL))
        raise DiTError(f"there is no published DiT-XL/2 for {size} px, only for {sizes} px; select patches of such a size")
    known = DIT_XL[size]
    return LatentDiT(known.load(path, download), Path(path).name if path else known.name).eval()


def load_dit(path: str | Path) -> LatentDiT:
    """Read what ``LatentDiT.save`` wrote. Raises DiTError if the file is damaged or something else."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["latent_dit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        with torch.random.fork_rng(devices=[]):
            transformer = _transformer(about["config"])
        if about["scales"]:
            add_scales(transformer)
        model = LatentDiT(transformer, about["name"], about["classes"])
        model.load_weights(tensors)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError, RuntimeError) as error:
        brief = " ".join(str(error).split())[:200]
        raise DiTError(f"{path}: not a diffusion transformer saved here, or damaged ({brief}); train it again") from error
    return model.eval().requires_grad_(False)


@torch.no_grad()
def use_label_rows(model: LatentDiT, classes: int, rows: str = "null") -> None:
    """Prepare the label table for pseudo-classes 0 .. classes - 1 before fine-tuning (protocol notes, section 5.3).

    ``keep``: the rows that stand there: of a model trained on these very pseudo-classes, or, as in the authors' code, those of
    ImageNet's first classes, which are fishes. ``null``: all start as the null label, so nothing is taken over from classes
    that they have nothing to do with. ``mean``: as the mean of the classes in use so far.

    Raises:
        DiTError: more classes than the table has, or an unknown start.
    """
    if rows not in ROWS:
        raise DiTError(f"unknown start {rows!r} of the label rows; there are: {', '.join(ROWS)}")
    if not 1 <= classes <= model.null_label:
        raise DiTError(
            f"{model.name}: {classes} pseudo-classes do not fit its label table of {model.null_label} classes and the "
            "null label; use fewer clusters, or a model with a larger table"
        )
    table = model.label_table
    if rows == "null":
        table[:classes] = table[model.null_label]
    elif rows == "mean":
        table[:classes] = table[: model.classes].mean(0)
    model.classes = classes
