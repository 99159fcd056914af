"""Attention weights of M3H-Att in one post: every pair of modalities, layer and head."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m3h.model.data.encoding import Encoded
from m3h.model.data.pictures import Cells
from m3h.model.data.posts import ALL
from m3h.model.networks.attention import M3HAttention, MultiHeadAttention
from m3h.model.networks.encoder import Bank
from m3h.model.runs.run import Run
from m3h.model.study.figures import heatmap
from m3h.model.systems import bank_names
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_json


def draw_attention(run: Run, dataset: Dataset, post_id: str, *, out: Path) -> dict[str, Any]:
    """Write `out`/attention.json and a PNG for every pair, and return a summary.

    In attention.json, `attention` has for every pair, such as "vision_to_text", the `memory` with a name for each
    position, and the `weights`: layers x heads x positions. The weights of a head sum to one, or to zero if the memory
    is empty. `banks` says which input each bank of pictures holds.

    Args:
        run: with multi-head attention.
        dataset: has the post.
        post_id: of the post.
        out: where the files go.

    Raises:
        UsageError: the system has no such attention, there is no such post, or matplotlib is not installed.
    """
    if not isinstance(run.model.fusion, M3HAttention):
        raise UsageError(f"{run.config.system} has no multi-head attention between modalities; take gen-cls-m3h.")
    posts = run.reader(dataset).split(ALL)
    if post_id not in posts.ids:
        raise UsageError(f"{dataset.folder}: no post '{post_id}'.")
    row = posts.ids.index(post_id)
    encoded = run.encode(posts[row : row + 1])
    names = memory_names(run, encoded)
    memories = {f"{query}_to_{memory}": memory for query, memory in run.model.fusion.pairs}
    attention = {
        pair: {"memory": names[memories[pair]], "weights": weights.tolist()}
        for pair, weights in attention_weights(run, encoded).items()
    }
    banks = {bank: name for name, bank in bank_names(run.metadata.inputs, run.metadata.kinds).items()}
    record = {"post_id": post_id, "tokens": posts.tokens[row], "keyphrases": posts.keyphrases[row]}
    publish_json(out / "attention.json", {**record, "banks": banks, "attention": attention})
    for pair, stored in attention.items():
        weights_lhm = np.array(stored["weights"])
        heads = [f"layer {i + 1} head {j + 1}" for i, j in np.ndindex(weights_lhm.shape[:2])]
        title = pair.replace("_", " ") + f": {post_id}"
        matrix = weights_lhm.reshape(len(heads), -1)
        heatmap(out / f"{pair}.png", title, matrix, rows=heads, columns=stored["memory"])
    return {**record, "out": str(out), "pairs": list(attention)}


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
    side = round(count**0.5)
    if cells.number is None and side > 1 and side * side == count:
        return [f"{i // side},{i % side}" for i in range(count)]
    return [f"object {i + 1}" for i in range(count)] if count > 1 else ["picture"]
