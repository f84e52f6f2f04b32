"""DiffFit: fine-tuning a diffusion transformer through its biases, its labels and scale factors (Xie et al., ICCV 2023).

The set that Minimax Diffusion trains (Gu et al., CVPR 2024, models.py and train_dit.py of their repository), on
diffusers' module: every bias, the label table, and vectors gamma, one at the start, that multiply the output of query,
key and value, of the attention's projection, of the attention branch and of the MLP branch in the first half of the
blocks. Layer norms have no weights. For DiT-XL/2: 28 x 17,280 biases in the blocks + 5,792 others + 14 x 6,912 gammas +
1001 x 1152 label embeddings = 1,739,552, a quarter of a percent.

Two traps. diffusers gives every block an embedding of time and label of its own, copies of one in the published weights:
with 28 copies trained apart the same rule would give 32,936,864. ``LatentDiT`` ties them. And their rule goes by names
that contain "norm": in diffusers' names that would be the modulation of every block.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def _scaled(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
    return output * module.gamma


def _branches(block: nn.Module) -> list[nn.Module]:
    """Whose output is scaled: query, key and value are one vector of three widths in the reference."""
    attention = block.attn1
    return [attention.to_q, attention.to_k, attention.to_v, attention.to_out[0], attention, block.ff]


def _scaled_blocks(transformer: nn.Module) -> list[nn.Module]:
    blocks = transformer.transformer_blocks
    return list(blocks[: len(blocks) // 2])


def has_scales(transformer: nn.Module) -> bool:
    """Whether ``add_scales`` was here."""
    return any(hasattr(block.ff, "gamma") for block in transformer.transformer_blocks)


def add_scales(transformer: nn.Module) -> None:
    """Put the factors gamma = 1 on the first half of the blocks of a ``DiTTransformer2DModel``; its output stays the same.

    Raises:
        ValueError: they are there already, or there is only one block.
    """
    if has_scales(transformer):
        raise ValueError("the transformer has scale factors already; they are added once")
    blocks = _scaled_blocks(transformer)
    if not blocks:
        raise ValueError("DiffFit scales the first half of the blocks; a transformer of one block has none, use two or more")
    for block in blocks:
        weight = block.ff.net[2].weight
        for module in _branches(block):
            width = module.out_features if isinstance(module, nn.Linear) else len(weight)
            module.gamma = nn.Parameter(torch.ones(width, dtype=weight.dtype, device=weight.device))
            module.register_forward_hook(_scaled)


def diffit_parameters(transformer: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """What DiffFit trains, with names; a tensor that several blocks share comes once."""
    for name, weight in transformer.named_parameters():
        if name.endswith((".bias", ".gamma")) or ".class_embedder." in name:
            yield name, weight
