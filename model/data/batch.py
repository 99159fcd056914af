"""A batch as the networks read it: padded and masked tensors, and the ids of special words."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from m3h.schemas.vocab import EOS, PAD, UNK, WORD_SPECIALS

PAD_ID, EOS_ID, UNK_ID = (WORD_SPECIALS.index(word) for word in (PAD, EOS, UNK))


BOS_ID = WORD_SPECIALS.index("<bos>")


@dataclass(frozen=True)
class Batch:
    """Tensors of B posts. An input that the system does not read is None, and so is its mask.

    rows_b: the posts' rows in `Encoded`. source_bl: word ids. copy_bl: extended ids: the same, but words outside the
    vocabulary have ids from the vocabulary's size on. grid_bgc: (B, 49, 512) float16. attributes_ba: attribute ids.
    score_bn, candidate_bc and label_feature_bcf: the fields of `Evidence`.
    """

    rows_b: np.ndarray
    source_bl: Tensor
    copy_bl: Tensor
    mask_bl: Tensor
    grid_bgc: Tensor | None = None
    grid_mask_bg: Tensor | None = None
    attributes_ba: Tensor | None = None
    attribute_mask_ba: Tensor | None = None
    score_bn: Tensor | None = None
    candidate_bc: Tensor | None = None
    candidate_mask_bc: Tensor | None = None
    label_feature_bcf: Tensor | None = None


@dataclass(frozen=True)
class Pairs:
    """B post-keyphrase pairs.

    target_bt: extended ids, with `<eos>` after the last word. label_b: label ids, 0 for an unknown label.
    soft_label_bk: label ids that are learned besides label_b. soft_weight_bk: the share of the classification loss
    that each has. Both are None without distillation.
    """

    batch: Batch
    target_bt: Tensor
    target_mask_bt: Tensor
    label_b: Tensor
    soft_label_bk: Tensor | None = None
    soft_weight_bk: Tensor | None = None
