"""Bottom-up attention (Anderson et al. 2018): Faster R-CNN on ResNet-101 C4 with classes and attributes.

It differs from the usual network. The stem's pooling has no padding and rounds up. Strides are in the 1x1 convolutions.
The RPN is 512 wide. Regions are max-pooled (RoIPool) to 14 x 14, and res5 keeps this size: it has no stride, and its
3x3 convolutions are dilated by 2.

The names of its tensors are those of the detectron2 port's checkpoints:

    backbone.stem.conv1.weight, backbone.stem.conv1.norm.{weight,bias,running_mean,running_var}
    backbone.res{2,3,4}.{i}.{shortcut,conv1,conv2,conv3}.weight and .norm.*
    proposal_generator.anchor_generator.cell_anchors.0          (12, 4)
    proposal_generator.rpn_head.{conv,objectness_logits,anchor_deltas}.{weight,bias}
    roi_heads.res5.{i}.{shortcut,conv1,conv2,conv3}.weight and .norm.*
    roi_heads.box_predictor.{cls_score,bbox_pred,fc_attr,attr_score}.{weight,bias}
    roi_heads.box_predictor.cls_embedding.weight

The background is the last class and the last attribute. It has no box regression.

Axes: N regions, h and w cells of res4, c channels.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d, roi_pool

from m3h.pipeline.extractors.butd.boxes import DETECTRON2, RATIOS, SCALES, STRIDE, Convention
from m3h.pipeline.extractors.butd.proposals import ProposalRules, propose
from m3h.pipeline.extractors.winograd import WinogradConvolution

BLOCKS = (3, 4, 23, 3)
"""Numbers of blocks in res2 to res5 of ResNet-101."""
POOL = 14
"""Side of a pooled region in cells."""
ANCHORS = len(SCALES) * len(RATIOS)
"""Anchors per cell."""
MIN_SIDE = 3
"""Fewest pixels of a side of the input, because the stem pools over three cells."""


class Regions(NamedTuple):
    """The predictions for N regions. The background is the last class and the last attribute.

    pooled_nc: (N, 2048). classes: (N, 1601) logits. deltas: (N, 6400), four per class. attributes: (N, 401) logits.
    """

    pooled_nc: Tensor
    classes: Tensor
    deltas: Tensor
    attributes: Tensor


class ConvNorm(nn.Conv2d):
    """A convolution without bias, followed by a frozen batch normalisation."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        """An unfilled layer.

        Args:
            channels: input channels.
            out: output channels.
            kernel: side of the kernel; the padding keeps the size.
            stride: of the convolution.
            dilation: of the convolution.
        """
        padding = dilation * (kernel // 2)
        super().__init__(channels, out, kernel, stride, padding, dilation, bias=False)
        self.norm: nn.Module = FrozenBatchNorm2d(out)

    def reset_parameters(self) -> None:
        """Do nothing. The weights come from a file or from `randomise`, and torch's initialisation takes seconds."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        return self.norm(super().forward(x))

    def fold(self) -> None:
        """Merge the normalisation into the convolution. This saves a pass and changes the last bits."""
        norm = self.norm
        if isinstance(norm, FrozenBatchNorm2d):
            gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
            self.weight.data = self.weight.data * gain[:, None, None, None]
            self.bias = nn.Parameter(norm.bias - norm.running_mean * gain, requires_grad=False)
            self.norm = nn.Identity()


class Stem(nn.Module):
    """The first layers, which reduce the input to a quarter of its sides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, width, 7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, width, H / 4, W / 4).

        Caffe pools without padding and rounds up, so the last column and row may cover less than three cells.
        """
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, ceil_mode=True)


class Block(nn.Module):
    """A bottleneck (He et al. 2015). The stride is in the first 1x1 convolution, as in the paper's first version."""

    def __init__(self, channels: int, inner: int, out: int, *, stride: int, dilation: int = 1) -> None:
        """An unfilled block.

        Args:
            channels: input channels.
            inner: channels between the convolutions.
            out: output channels.
            stride: of the block.
            dilation: of the 3x3 convolution.
        """
        super().__init__()
        self.shortcut = ConvNorm(channels, out, 1, stride=stride) if channels != out else nn.Identity()
        self.conv1 = ConvNorm(channels, inner, 1, stride=stride)
        self.conv2 = ConvNorm(inner, inner, 3, dilation=dilation)
        self.conv3 = ConvNorm(inner, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, out, h / stride, w / stride)."""
        y = F.relu_(self.conv2(F.relu_(self.conv1(x))))
        return F.relu_(self.conv3(y).add_(self.shortcut(x)))


def stage(blocks: int, channels: int, inner: int, *, stride: int, dilation: int = 1) -> nn.Sequential:
    """Bottlenecks with 4 * inner output channels.

    Args:
        blocks: the number of bottlenecks.
        channels: input channels of the first one.
        inner: channels between the convolutions of a bottleneck.
        stride: of the first one; the others have stride 1.
        dilation: of all 3x3 convolutions.
    """
    first = Block(channels, inner, 4 * inner, stride=stride, dilation=dilation)
    others = (Block(4 * inner, inner, 4 * inner, stride=1, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


class Backbone(nn.Module):
    """ResNet from the stem to res4."""

    def __init__(self, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.res2 = stage(blocks[0], width, width, stride=1)
        self.res3 = stage(blocks[1], 4 * width, 2 * width, stride=2)
        self.res4 = stage(blocks[2], 8 * width, 4 * width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 16 * width, H / 16, W / 16)."""
        return self.res4(self.res3(self.res2(self.stem(x))))


class CellAnchors(nn.Module):
    """The anchors of one cell, under the name that they have in checkpoints."""

    def __init__(self, anchors_a4: Tensor) -> None:
        super().__init__()
        self.cell_anchors = nn.Module()
        self.cell_anchors.register_buffer("0", anchors_a4)

    @property
    def a4(self) -> Tensor:
        """The anchors, (12, 4)."""
        return self.cell_anchors.get_buffer("0")


class ProposalNetwork(nn.Module):
    """The region proposal network (RPN): it scores and moves 12 anchors per cell."""

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
        """(1, c, h, w) -> objectness (1, 12, h, w) and deltas (1, 48, h, w), four per anchor."""
        hidden = F.relu_(self.rpn_head["conv"](res4))
        return self.rpn_head["objectness_logits"](hidden), self.rpn_head["anchor_deltas"](hidden)


class Heads(nn.Module):
    """res5 for pooled regions, and the layers that predict from its mean."""

    def __init__(self, blocks: int, width: int, classes: int, *, attributes: int) -> None:
        """Unfilled heads.

        Args:
            blocks: the number of blocks in res5.
            width: channels of the stem.
            classes: number of classes without the background.
            attributes: number of attributes without the background.
        """
        super().__init__()
        pooled = 32 * width
        self.res5 = stage(blocks, 16 * width, 8 * width, stride=1, dilation=2)
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
        """The predictions for regions.

        Attributes are predicted from the region and the embedding of its most probable class, which may be the
        background.
        """
        head = self.box_predictor
        classes = head["cls_score"](pooled_nc)
        with_class = torch.cat((pooled_nc, head["cls_embedding"](classes.argmax(dim=1))), dim=1)
        attributes = head["attr_score"](F.relu_(head["fc_attr"](with_class)))
        return Regions(pooled_nc, classes, head["bbox_pred"](pooled_nc), attributes)


class BottomUpAttention(nn.Module):
    """The whole detector, for one picture at a time."""

    def __init__(
        self,
        blocks: Sequence[int] = BLOCKS,
        width: int = 64,
        classes: int = 1600,
        *,
        attributes: int = 400,
        convention: Convention = DETECTRON2,
        rules: ProposalRules = ProposalRules(),  # noqa: B008 (frozen)
    ) -> None:
        """An unfilled network.

        Args:
            blocks: numbers of blocks in res2 to res5.
            width: channels of the stem; all other widths are multiples of it (16 for res4, 32 for res5).
            classes: number of classes without the background.
            attributes: number of attributes without the background.
            convention: how boxes are coded.
            rules: how many proposals are kept.
        """
        super().__init__()
        self.convention, self.rules = convention, rules
        self.backbone = Backbone(blocks, width)
        self.proposal_generator = ProposalNetwork(16 * width, 8 * width, convention.cell_anchors())
        self.roi_heads = Heads(blocks[3], width, classes, attributes=attributes)

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""
        return self.proposal_generator.anchor_generator.a4.device

    def features(self, image_bchw: Tensor) -> Tensor:
        """The output of res4, (1, 1024, H / 16, W / 16), for BGR pixels minus their means, (1, 3, H, W)."""
        return self.backbone(image_bchw)

    def proposals(self, res4: Tensor, size: tuple[int, int], scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """At most 300 boxes (n, 4) in pixels of the input, and their objectness (n,), best first.

        Args:
            res4: the output of `features`.
            size: height and width of the input.
            scale: pixels of the input per pixel of the original picture.
        """
        objectness, deltas = self.proposal_generator(res4)
        anchors_a4 = self.proposal_generator.anchor_generator.a4
        return propose(
            objectness[0], deltas[0], anchors_a4,
            size=size, scale=scale, convention=self.convention, rules=self.rules,
        )  # fmt: skip

    def pool(self, res4: Tensor, boxes_n4: Tensor) -> Tensor:
        """(N, 1024, 14, 14): the maximum in each of 14 x 14 parts of a box, whose borders are rounded to cells."""
        rois_n5 = F.pad(boxes_n4.float(), (1, 0))  # half precision would move the borders
        cells = roi_pool(res4.float(), rois_n5, (POOL, POOL), 1 / STRIDE)
        return cells.contiguous(memory_format=torch.channels_last)

    def heads(self, res4: Tensor, boxes_n4: Tensor, at_once: int = 0) -> Regions:
        """The predictions for boxes.

        Args:
            res4: the output of `features`.
            boxes_n4: boxes in pixels of the input.
            at_once: most regions that go through res5 together; 0 for all.
        """
        parts = boxes_n4.split(at_once or max(1, len(boxes_n4)))
        pooled_nc = torch.cat([self.roi_heads(self.pool(res4, part)) for part in parts])
        return self.roi_heads.predict(pooled_nc)

    def use_winograd(self) -> "BottomUpAttention":
        """Use Winograd's filtering for the 3x3 convolutions of res5. Call it after `fold`. It changes the last bits."""
        for block in self.roi_heads.res5.children():
            if isinstance(block.conv2, nn.Conv2d):
                block.conv2 = WinogradConvolution(block.conv2)
        return self

    def fold(self) -> "BottomUpAttention":
        """Merge every normalisation into its convolution. This changes the last bits and the names of the tensors."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self


N = TypeVar("N", bound=nn.Module)


def randomise(network: N, seed: int) -> N:
    """Fill a network with seeded random weights. Its activations neither vanish nor overflow, and its outputs vary.

    network: a network of residual blocks with frozen normalisation: this one, torchvision's or detectron2's.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.named_parameters():
        with torch.no_grad():
            fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
            std = 0.0 if name.endswith("bias") else (2.0 / fan_in) ** 0.5
            std *= 8.0 if name.endswith("_score.weight") else 1.0  # so that some classes are more probable than others
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * std)
    for name, norm in network.named_modules():
        if type(norm).__name__ == "FrozenBatchNorm2d" and isinstance(norm.weight, Tensor):
            gain = 0.02 if "stem" in name else 0.1 if "conv3" in name else 0.7  # pixel values are in the hundreds
            norm.weight.fill_(gain)
    return network
