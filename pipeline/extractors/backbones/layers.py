"""Reads one layer of a network. What it gives is found out on the device `meta`, where nothing is computed."""

from dataclasses import dataclass
from math import isqrt
from threading import local
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 3
"""Pictures of the trial: an axis of this length is that of the pictures, and none of a network's has it by chance."""


@dataclass(frozen=True)
class Tap:
    """Where a network is read. layer: its module's name; "" is the whole. before: its input rather than its output.

    cells, width: of what is read there.
    """

    layer: str
    before: bool
    cells: int
    width: int


class Tapped(nn.Module):
    """What a pass of the network leaves at a tap: cells (B, n, width), row by row."""

    def __init__(self, network: nn.Module, tap: Tap, *, pooled: bool) -> None:
        super().__init__()
        self._pooled = pooled
        self._read = local()  # threads share a network; no attribute of its own, which an exporter would refuse
        module = network.get_submodule(tap.layer)
        if tap.before:
            module.register_forward_pre_hook(lambda _, inputs: self._keep(inputs[0]))
        else:
            module.register_forward_hook(lambda _, __, output: self._keep(output))

    def _keep(self, value: Any) -> None:
        self._read.value = value

    def forward(self, _output: "Tensor") -> "Tensor":
        """The cells, or their mean as one cell."""
        cells_bnd = as_cells(self._read.value)
        return cells_bnd.mean(dim=1, keepdim=True) if self._pooled and cells_bnd.shape[1] > 1 else cells_bnd


class Compared(nn.Module):
    """Vectors of pictures (B, D) -> scaled cosines with the vectors of words, (B, V)."""

    def __init__(self, words_vd: "Tensor", scale: "Tensor") -> None:
        super().__init__()
        self.register_buffer("words_dv", words_vd.T * scale)
        self.words_dv: Tensor

    def forward(self, picture_bd: "Tensor") -> "Tensor":
        """words_vd: of length 1."""
        return nn.functional.normalize(picture_bd, dim=-1) @ self.words_dv


def as_cells(output: "Tensor") -> "Tensor":
    """Maps (B, C, H, W) or (B, H, W, C), tokens (B, N, C) or vectors (B, C) as cells (B, n, C), row by row.

    Of a square picture's tokens those beyond the largest square number lead: class and register tokens are left out.
    """
    if output.dim() == 4:
        _, *sizes = output.shape
        last = sizes[0] == sizes[1] and sizes[1] != sizes[2]  # H, W, C
        return output.flatten(1, 2) if last else output.flatten(2).mT
    if output.dim() == 3:
        return output[:, output.shape[1] - isqrt(output.shape[1]) ** 2 :]
    return output[:, None]


def find_tap(network: nn.Module, layer: str, side: int, *, pooled: bool, classifies: bool, named: str) -> Tap:
    """The tap of a layer, or of the layer that a network is best read at.

    Args:
        network: on the device `meta`.
        layer: a module's name. "" for the last map or sequence of tokens, or, pooled, for the vector that the network
            itself makes of it: the input of a classifier's last linear layer, or else its output.
        side: of the input.
        pooled: whether one vector a picture is asked for.
        classifies: whether the network's output are logits.
        named: the network, for error messages.

    Raises:
        UsageError: there is no such layer, or nothing fit to be read there.
    """
    modules = dict(network.named_modules())
    if layer and layer not in modules:
        raise UsageError(f"network {named}: has no layer {layer!r}. Its layers: {_listed(list(modules))}.")
    seen, level = _outputs(network, side)
    if layer:
        shape = seen.get((layer, False))
        if shape is None or (len(shape) == 2 and not pooled):
            found = "nothing that is a map" if shape is None else f"a vector {tuple(shape[1:])}"
            raise UsageError(f"network {named}: layer {layer!r} gives {found}. Choose another, or form=pooled.")
        return _tap(layer, shape, before=False)
    if pooled:
        linear = [(name, shape) for (name, before), shape in seen.items() if before and len(shape) == 2]
        if classifies and linear and _ends_in(modules, linear[-1][0], seen):
            return _tap(linear[-1][0], linear[-1][1], before=True)
        return _tap("", seen["", False], before=False)
    for depth in range(1, 8):  # children first: inside of a pooling layer there are maps that are none of the picture
        here = [(name, shape) for (name, before), shape in seen.items() if not before and level[name] == depth]
        maps = [name for name, shape in here if _is_map(shape)]
        if maps:
            return _tap(maps[-1], seen[maps[-1], False], before=False)
    raise UsageError(f"network {named}: gives no map of a picture. Name a layer, or set form=pooled.")


def _is_map(shape: torch.Size) -> bool:
    return len(shape) > 2 and as_cells(torch.empty(shape, device="meta")).shape[1] > 1


def _ends_in(modules: dict[str, nn.Module], linear: str, seen: dict[tuple[str, bool], torch.Size]) -> bool:
    """Whether the network's output is that of its last linear layer: it is a classifier."""
    layer = modules[linear]
    return isinstance(layer, nn.Linear) and layer.out_features == seen["", False][-1]


def _tap(layer: str, shape: torch.Size, *, before: bool) -> Tap:
    cells = as_cells(torch.empty(shape, device="meta"))
    return Tap(layer, before, cells.shape[1], cells.shape[2])


def _outputs(network: nn.Module, side: int) -> tuple[dict[tuple[str, bool], torch.Size], dict[str, int]]:
    """What a forward pass shows, of the layers in the order in which they end.

    Returns:
        (layer, False) -> shape of its output, and (linear layer, True) -> shape of its input;
        layer -> how many layers it is inside of. Lists of layers, which are never called, do not count.
    """
    seen: dict[tuple[str, bool], torch.Size] = {}
    called: list[str] = []

    def look(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            called.append(name)
            if isinstance(output, torch.Tensor) and output.dim() in (2, 3, 4) and output.shape[0] == _BATCH:
                seen[name, False] = output.shape
            if isinstance(module, nn.Linear):
                seen.pop((name, True), None)
                seen[name, True] = inputs[0].shape

        return keep

    hooks = [module.register_forward_hook(look(name)) for name, module in network.named_modules()]
    with torch.inference_mode():
        output = network.eval()(torch.empty((_BATCH, 3, side, side), device="meta"))
    for hook in hooks:
        hook.remove()
    if ("", False) not in seen:
        raise UsageError(f"network: expected one tensor as its output, found {type(output).__name__}.")
    names = set(called)
    return seen, {name: sum(outer in names for outer in _outer(name)) for name in names}


def _outer(name: str) -> list[str]:
    """The names of the layers around a layer: of a.b.c the whole network, a and a.b."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts))] if name else []


def _listed(names: list[str]) -> str:
    """The layers of the first level, which are those one would name."""
    return ", ".join(name for name in names if name and name.count(".") == 0)
