"""Joint objective, Eq. (12): generation and classification, each a mean over the batch's post-keyphrase pairs."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from model.batches import Pairs
from model.unified import KeyphraseModel


@dataclass(frozen=True)
class Loss:
    """joint: scalar to descend. generate: summed over a batch's words. classify: summed over its known labels, and
    over all pairs where these are taught labels, too.

    topics: of the topic model, summed over the pairs.
    """

    joint: Tensor
    generate: float
    words: int
    classify: float
    labels: int
    pairs: int
    topics: float = 0.0


def joint_loss(model: KeyphraseModel, pairs: Pairs, gamma: float, topic_weight: float = 1.0) -> Loss:
    """-log P(keyphrase) + gamma x -log P(label), per pair; Eq. (12). A label unseen in training counts nothing.

    A topic model's own loss comes on top, topic_weight times.
    """
    encoding = model(pairs.batch)
    zero = next(model.parameters()).new_zeros(())
    generate, classify, topics, words, labels = zero, zero, zero, 0, 0
    if model.decoder is not None:
        log_p_n = model.log_likelihood(pairs, encoding)
        generate, words = -log_p_n.sum(), len(log_p_n)
    if encoding.logit_bn is not None:
        labels = len(pairs.label_b) if pairs.share_bk is not None else int((pairs.label_b != 0).sum())
        classify = _classification(encoding.logit_bn, pairs)
    if encoding.topics is not None:
        topics = encoding.topics.loss_b.sum()
    count = len(pairs.label_b)
    joint = (generate + gamma * classify + topic_weight * topics) / count
    return Loss(joint, float(generate.detach()), words, float(classify.detach()), labels, count, float(topics.detach()))


def _classification(logit_bn: Tensor, pairs: Pairs) -> Tensor:
    """-log P of the labels, summed; of suggested ones by their share, which the pair's own does not have."""
    if pairs.suggested_bk is None or pairs.share_bk is None:
        return F.cross_entropy(logit_bn, pairs.label_b, ignore_index=0, reduction="sum")
    own_b = F.cross_entropy(logit_bn, pairs.label_b, ignore_index=0, reduction="none")
    log_p_bk = logit_bn.log_softmax(-1).gather(1, pairs.suggested_bk)
    return ((1 - pairs.share_bk.sum(1)) * own_b - (pairs.share_bk * log_p_bk).sum(1)).sum()
