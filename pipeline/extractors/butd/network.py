"""Bottom-up attention (Anderson et al. 2018): Faster R-CNN on ResNet-101 C4 with classes and attributes.

What differs from the textbook: the stem's pooling has no padding and rounds up, strides lie in the 1x1 convolutions,
the RPN is 512 wide, regions are max-pooled (RoIPool) to 14 x 14, and res5 keeps their size: no stride, its 3x3
convolutions dilated by 2.

The names of its tensors are those of the detectron2 port's checkpoints:

    backbone.stem.conv1.weight, backbone.stem.conv1.norm.{weight,bias,running_mean,running_var}
    backbone.res{2,3,4}.{i}.{shortcut,conv1,conv2,conv3}.weight and .norm.*
    proposal_generator.anchor_generator.cell_anchors.0          (12, 4)
    proposal_generator.rpn_head.{conv,objectness_logits,anchor_deltas}.{weight,bias}
    roi_heads.res5.{i}.{shortcut,conv1,conv2,conv3}.weight and .norm.*
    roi_heads.box_predictor.{cls_score,bbox_pred,fc_attr,attr_score}.{weight,bias}
    roi_heads.box_predictor.cls_embedding.weight

with the background as last class and last attribute, and no regression for it.

Axes: N regions, h and w cells of res4, c channels.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d, roi_pool

from pipeline.extractors.butd.boxes import DETECTRON2, RATIOS, SCALES, STRIDE, Convention
from pipeline.extractors.butd.proposals import ProposalRules, propose
from pipeline.extractors.winograd import QuickConvolution

BLOCKS = (3, 4, 23, 3)
"""Blocks of res2 to res5 in ResNet-101."""
POOL = 14
"""Cells a side that a region is pooled to."""
ANCHORS = len(SCALES) * len(RATIOS)
SMALLEST = 3
"""Pixels a side of the least input: the stem's pooling has nothing to pool in less."""


class Regions(NamedTuple):
    """What the heads say of N regions. Background is the last class and attribute.

    pooled_nc: (N, 2048). classes: (N, 1601) logits. deltas: (N, 6400), four a class. attributes: (N, 401) logits.
    """

    pooled_nc: Tensor
    classes: Tensor
    deltas: Tensor
    attributes: Tensor


class ConvNorm(nn.Conv2d):
    """A convolution without bias, and the frozen normalisation after it."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(channels, out, kernel, stride, padding, dilation, bias=False)
        self.norm: nn.Module = FrozenBatchNorm2d(out)

    def reset_parameters(self) -> None:
        """Nothing: weights come from a file or from `randomise`, and torch's own take seconds."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        return self.norm(super().forward(x))

    def fold(self) -> None:
        """Put the normalisation into the convolution: one pass less, the last bits differ."""
        norm = self.norm
        if isinstance(norm, FrozenBatchNorm2d):
            gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
            self.weight.data = self.weight.data * gain[:, None, None, None]
            self.bias = nn.Parameter(norm.bias - norm.running_mean * gain, requires_grad=False)
            self.norm = nn.Identity()


class Stem(nn.Module):
    """Input to a quarter of its size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, width, 7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Caffe pools without padding and rounds up, so the last column and row may see less than three cells."""
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, ceil_mode=True)


class Block(nn.Module):
    """A bottleneck (He et al. 2015), its stride in the first 1x1 as in the first version of the paper."""

    def __init__(self, channels: int, inner: int, out: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        self.shortcut = ConvNorm(channels, out, 1, stride) if channels != out else nn.Identity()
        self.conv1 = ConvNorm(channels, inner, 1, stride)
        self.conv2 = ConvNorm(inner, inner, 3, dilation=dilation)
        self.conv3 = ConvNorm(inner, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        y = F.relu_(self.conv2(F.relu_(self.conv1(x))))
        return F.relu_(self.conv3(y).add_(self.shortcut(x)))


def stage(blocks: int, channels: int, inner: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """`blocks` bottlenecks of 4 * inner channels, the first with the stride."""
    first = Block(channels, inner, 4 * inner, stride, dilation)
    return nn.Sequential(first, *(Block(4 * inner, inner, 4 * inner, 1, dilation) for _ in range(blocks - 1)))


class Backbone(nn.Module):
    """ResNet up to res4."""

    def __init__(self, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.res2 = stage(blocks[0], width, width, 1)
        self.res3 = stage(blocks[1], 4 * width, 2 * width, 2)
        self.res4 = stage(blocks[2], 8 * width, 4 * width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 16 * width, H / 16, W / 16)."""
        return self.res4(self.res3(self.res2(self.stem(x))))


class CellAnchors(nn.Module):
    """The anchors of one cell, named as the checkpoints name them."""

    def __init__(self, anchors_a4: Tensor) -> None:
        super().__init__()
        self.cell_anchors = nn.Module()
        self.cell_anchors.register_buffer("0", anchors_a4)

    @property
    def a4(self) -> Tensor:
        """(12, 4)."""
        return self.cell_anchors.get_buffer("0")


class ProposalNetwork(nn.Module):
    """What may be an object where: 12 anchors a cell."""

    def __init__(self, channels: int, hidden: int, anchors_a4: Tensor) -> None:
        super().__init__()
        self.anchor_generator = CellAnchors(anchors_a4)
        self.rpn_head = nn.ModuleDict(
            {
                "conv": nn.Conv2d(channels, hidden, 3, padding=1),
                "objectness_logits": nn.Conv2d(hidden, ANCHORS, 1),
                "anchor_deltas": nn.Conv2d(hidden, 4 * ANCHORS, 1),
            }
        )

    def forward(self, res4: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, h, w) -> objectness (1, 12, h, w), and deltas (1, 48, h, w), four an anchor."""
        hidden = F.relu_(self.rpn_head["conv"](res4))
        return self.rpn_head["objectness_logits"](hidden), self.rpn_head["anchor_deltas"](hidden)


class Heads(nn.Module):
    """res5 on pooled regions, and what is predicted from its mean."""

    def __init__(self, blocks: int, width: int, classes: int, attributes: int) -> None:
        super().__init__()
        pooled = 32 * width
        self.res5 = stage(blocks, 16 * width, 8 * width, 1, dilation=2)
        self.box_predictor = nn.ModuleDict(
            {
                "cls_score": nn.Linear(pooled, classes + 1),
                "bbox_pred": nn.Linear(pooled, 4 * classes),
                "cls_embedding": nn.Embedding(classes + 1, pooled // 8),
                "fc_attr": nn.Linear(pooled + pooled // 8, pooled // 4),
                "attr_score": nn.Linear(pooled // 4, attributes + 1),
            }
        )

    def forward(self, cells: Tensor) -> Tensor:
        """(N, c, 14, 14) -> (N, 2c)."""
        return self.res5(cells).mean(dim=(2, 3))

    def predict(self, pooled_nc: Tensor) -> Regions:
        """An attribute is predicted from a region and the embedding of its likeliest class, background included."""
        head = self.box_predictor
        classes = head["cls_score"](pooled_nc)
        named = torch.cat((pooled_nc, head["cls_embedding"](classes.argmax(dim=1))), dim=1)
        attributes = head["attr_score"](F.relu_(head["fc_attr"](named)))
        return Regions(pooled_nc, classes, head["bbox_pred"](pooled_nc), attributes)


class BottomUpAttention(nn.Module):
    """The whole detector for one picture at a time.

    blocks: of res2 to res5; width: channels of the stem, which every other width follows (res4 16, res5 32 times);
    classes, attributes: without background. convention: how boxes are coded.
    """

    def __init__(
        self,
        blocks: Sequence[int] = BLOCKS,
        width: int = 64,
        classes: int = 1600,
        attributes: int = 400,
        convention: Convention = DETECTRON2,
        rules: ProposalRules = ProposalRules(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self.convention, self.rules = convention, rules
        self.backbone = Backbone(blocks, width)
        self.proposal_generator = ProposalNetwork(16 * width, 8 * width, convention.cell_anchors())
        self.roi_heads = Heads(blocks[3], width, classes, attributes)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.proposal_generator.anchor_generator.a4.device

    def features(self, image_bchw: Tensor) -> Tensor:
        """(1, 3, H, W), BGR without its means, at least 3 x 3 -> res4, (1, 1024, H / 16, W / 16)."""
        return self.backbone(image_bchw)

    def proposals(self, res4: Tensor, size: tuple[int, int], scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """At most 300 boxes (n, 4) in pixels of the input, and their objectness, best first.

        size: (height, width) of the input. scale: pixels of it a pixel of the original picture.
        """
        objectness, deltas = self.proposal_generator(res4)
        anchors_a4 = self.proposal_generator.anchor_generator.a4
        return propose(objectness[0], deltas[0], anchors_a4, size, scale, self.convention, self.rules)

    def pool(self, res4: Tensor, boxes_n4: Tensor) -> Tensor:
        """(N, 1024, 14, 14): the largest value in each of 14 x 14 parts of a box, borders rounded to cells."""
        rois_n5 = F.pad(boxes_n4.float(), (1, 0))  # half precision would move borders
        cells = roi_pool(res4.float(), rois_n5, (POOL, POOL), 1 / STRIDE)
        return cells.contiguous(memory_format=torch.channels_last)

    def heads(self, res4: Tensor, boxes_n4: Tensor, at_once: int = 0) -> Regions:
        """What is said of boxes in pixels of the input. at_once: regions that go through res5 together; 0: all."""
        parts = boxes_n4.split(at_once or max(1, len(boxes_n4)))
        pooled_nc = torch.cat([self.roi_heads(self.pool(res4, part)) for part in parts])
        return self.roi_heads.predict(pooled_nc)

    def quicken(self) -> "BottomUpAttention":
        """Let a CPU compute res5's 3x3 convolutions with fewer products, after `fold`. The last bits differ."""
        for block in self.roi_heads.res5.children():
            if isinstance(block.conv2, nn.Conv2d):
                block.conv2 = QuickConvolution(block.conv2)
        return self

    def fold(self) -> "BottomUpAttention":
        """Put every normalisation into its convolution. The last bits differ, and names of tensors are gone."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self


N = TypeVar("N", bound=nn.Module)


def randomise(network: N, seed: int) -> N:
    """Fill with seeded random weights whose activations neither vanish nor overflow, and whose answers differ.

    network: this one or another of residual blocks with frozen normalisation, torchvision's or detectron2's.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.named_parameters():
        with torch.no_grad():
            fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
            std = 0.0 if name.endswith("bias") else (2.0 / fan_in) ** 0.5
            std *= 8.0 if name.endswith("_score.weight") else 1.0  # so that some classes are likelier than others
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * std)
    for name, norm in network.named_modules():
        if type(norm).__name__ == "FrozenBatchNorm2d" and isinstance(norm.weight, Tensor):
            gain = 0.02 if "stem" in name else 0.1 if "conv3" in name else 0.7  # pixels come in hundreds
            norm.weight.fill_(gain)
    return network
