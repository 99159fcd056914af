"""Attention weights of M3H-Att in one post: every pair of modalities, layer and head, and what each position is."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.encoding import Encoded
from m3h.model.data.pictures import Cells
from m3h.model.networks.attention import MultiHeadAttention
from m3h.model.networks.encoder import Bank
from m3h.model.runs.run import Run
from m3h.model.study.overlay import grid_side
from m3h.model.systems import bank_names


@torch.inference_mode()
def attention_weights(run: Run, encoded: Encoded) -> Mapping[str, np.ndarray]:
    """Pair -> (layers, heads, positions) weights, for the only post of `encoded`."""
    model, fusion = run.model.eval(), run.model.fusion
    found: dict[str, list[np.ndarray]] = {}
    hooks = []
    for pair, stack in fusion.attend.items():  # type: ignore[union-attr,operator]
        for layer in stack.layers:

            def keep(attention: MultiHeadAttention, inputs: tuple[Tensor, Bank], pair: str = pair) -> None:
                found.setdefault(pair, []).append(attention.weights(*inputs)[0].cpu().numpy())

            hooks.append(layer.attention.register_forward_pre_hook(keep))
    try:
        model(encoded.posts_batch(np.array([0])))
    finally:
        for hook in hooks:
            hook.remove()
    return {pair: np.stack(layers) for pair, layers in found.items()}


def memory_names(run: Run, encoded: Encoded) -> dict[str, list[str]]:
    """Bank -> a name for each position of its memory: words, labels, grid cells or objects.

    encoded: the only post.
    """
    names = {"text": encoded.sources[0]}
    for name, bank in bank_names(run.metadata.inputs, run.metadata.kinds).items():
        if bank in encoded.cells:
            names[bank] = _cell_names(encoded.cells[bank])
        else:
            names[bank] = encoded.posts.labels_of(name)[0] or [""]
    return names


def _cell_names(cells: Cells) -> list[str]:
    """Row and column of a square grid; numbers of objects, of which an image may have fewer."""
    count = cells.features.shape[1]
    if side := is_grid(cells):
        return [f"{i // side},{i % side}" for i in range(count)]
    return [f"object {i + 1}" for i in range(count)] if count > 1 else ["picture"]


def is_grid(cells: Cells) -> int | None:
    """The side of the square grid that the cells are; None where they are none."""
    return grid_side(cells.features.shape[1]) if cells.number is None else None
