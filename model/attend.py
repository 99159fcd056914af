"""What M3H-Att looks at in one post: the weights of every pair, layer and head, in both directions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.attention import M3HAttention, MultiHeadAttention
from model.batches import Encoded
from model.data import ALL
from model.figures import heatmap
from model.run import Run
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json


def attend(run: Run, dataset: Dataset, post_id: str, out: Path) -> dict[str, Any]:
    """Write `out`/attention.json and a PNG for every pair; what the JSON holds.

    `attention` has for every pair, such as "vision_to_text", the `memory` position by position and its `weights`:
    layers x heads x positions, each head's sum to one, or to zero where the memory is empty.
    """
    if not isinstance(run.model.fusion, M3HAttention):
        raise UsageError(f"{run.config.system} has no multi-head attention between modalities; take gen-cls-m3h.")
    posts = run.reader(dataset).split(ALL)
    if post_id not in posts.ids:
        raise UsageError(f"{dataset.folder}: no post '{post_id}'.")
    place = posts.ids.index(post_id)
    encoded = run.encode(posts[place : place + 1])
    names = memories(encoded)
    told = {
        pair: {"memory": names[pair.partition("_to_")[2]], "weights": weights.tolist()}
        for pair, weights in weights_of(run, encoded).items()
    }
    record = {"post_id": post_id, "tokens": posts.tokens[place], "keyphrases": posts.keyphrases[place]}
    publish_json(out / "attention.json", {**record, "attention": told})
    for pair, one in told.items():
        weights_lhm = np.array(one["weights"])
        rows = [f"layer {i + 1} head {j + 1}" for i, j in np.ndindex(weights_lhm.shape[:2])]
        title = pair.replace("_", " ") + f": {post_id}"
        heatmap(out / f"{pair}.png", title, rows, one["memory"], weights_lhm.reshape(len(rows), -1))
    return {**record, "out": str(out), "pairs": list(told)}


@torch.inference_mode()
def weights_of(run: Run, encoded: Encoded) -> Mapping[str, np.ndarray]:
    """(layers, heads, positions) of every pair, for the only post of `encoded`."""
    model, fusion = run.model.eval(), run.model.fusion
    seen: dict[str, list[np.ndarray]] = {}
    hooks = []
    for pair, stack in fusion.attend.items():  # type: ignore[union-attr,operator]
        for layer in stack.layers:

            def keep(attention: MultiHeadAttention, given: tuple, pair: str = pair) -> None:
                seen.setdefault(pair, []).append(attention.weights(*given)[0].cpu().numpy())

            hooks.append(layer.attention.register_forward_pre_hook(keep))
    try:
        model(encoded.posts_batch(np.array([0])))
    finally:
        for hook in hooks:
            hook.remove()
    return {pair: np.stack(layers) for pair, layers in seen.items()}


def memories(encoded: Encoded) -> dict[str, list[str]]:
    """What stands at each position of a modality's memory: words, attributes, cells of the grid or objects."""
    cells = encoded.grid.shape[1] if encoded.grid is not None else 0
    side = round(cells**0.5)
    vision = [f"{i // side},{i % side}" if side * side == cells == 49 else f"object {i + 1}" for i in range(cells)]
    return {"text": encoded.sources[0], "attributes": encoded.posts.attributes[0] or [""], "vision": vision}
