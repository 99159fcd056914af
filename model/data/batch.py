"""A batch as the networks read it: padded and masked tensors, and the ids of special words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from torch import Tensor

from m3h.schemas.vocab import EOS, PAD, UNK, WORD_SPECIALS

PAD_ID, EOS_ID, UNK_ID = (WORD_SPECIALS.index(word) for word in (PAD, EOS, UNK))


BOS_ID = WORD_SPECIALS.index("<bos>")


class Masked(NamedTuple):
    """Values, and a mask over their first axes: True = real."""

    values: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors of B posts. An input that the system does not read is None or missing.

    rows_b: the posts' rows in `Encoded`. source_bl: word ids. copy_bl: extended ids: the same, but words outside the
    vocabulary have ids from the vocabulary's size on. pictures: bank -> (B, G, c) cells in the stored precision and
    (B, G), or (B, A) ids of labels and (B, A); see `systems.bank_names`. word_bp: of each piece of the sentence encoder
    the position of its word in the text, -1 where it has none. span_bk3: of `LabelSpans.batch`. score_bn, candidate_bc
    and label_feature_bcf: the fields of `Evidence`.
    """

    rows_b: np.ndarray
    source_bl: Tensor
    copy_bl: Tensor
    mask_bl: Tensor
    pictures: Mapping[str, Masked] = field(default_factory=dict)
    score_bn: Tensor | None = None
    candidate_bc: Tensor | None = None
    candidate_mask_bc: Tensor | None = None
    label_feature_bcf: Tensor | None = None
    word_bp: Tensor | None = None
    span_bk3: Tensor | None = None


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
