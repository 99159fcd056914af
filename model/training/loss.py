"""Joint objective, Eq. (12): generation and classification, each a mean over the post-keyphrase pairs of a batch."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from m3h.model.data.batch import Pairs
from m3h.model.networks.unified import KeyphraseModel


@dataclass(frozen=True)
class Loss:
    """The loss of a batch.

    joint: the scalar to minimize. generate: summed over the words. classify: summed over the known labels; with soft
    labels over all pairs. topics: of the topic model, summed over the pairs.
    """

    joint: Tensor
    generate: float
    words: int
    classify: float
    labels: int
    pairs: int
    topics: float = 0.0


def joint_loss(model: KeyphraseModel, pairs: Pairs, gamma: float, *, topic_weight: float = 1.0) -> Loss:
    """-log P(keyphrase) - gamma log P(label), per pair; Eq. (12). A label unseen in training counts zero.

    Args:
        model: any system with something to train.
        pairs: a batch.
        gamma: weight of the classification loss.
        topic_weight: weight of the loss of the topic model, which is added.
    """
    encoding = model(pairs.batch)
    zero = next(model.parameters()).new_zeros(())
    generate, classify, topics, words, labels = zero, zero, zero, 0, 0
    if model.decoder is not None:
        log_p_n = model.log_likelihood(pairs, encoding)
        generate, words = -log_p_n.sum(), len(log_p_n)
    if encoding.logit_bn is not None:
        labels = len(pairs.label_b) if pairs.soft_weight_bk is not None else int((pairs.label_b != 0).sum())
        classify = _classification(encoding.logit_bn, pairs)
    if encoding.topics is not None:
        topics = encoding.topics.loss_b.sum()
    count = len(pairs.label_b)
    joint = (generate + gamma * classify + topic_weight * topics) / count
    return Loss(joint, float(generate.detach()), words, float(classify.detach()), labels, count, float(topics.detach()))


def _classification(logit_bn: Tensor, pairs: Pairs) -> Tensor:
    """-log P of the labels, summed. Soft labels have their weights; the pair's own label has the rest."""
    if pairs.soft_label_bk is None or pairs.soft_weight_bk is None:
        return F.cross_entropy(logit_bn, pairs.label_b, ignore_index=0, reduction="sum")
    own_b = F.cross_entropy(logit_bn, pairs.label_b, ignore_index=0, reduction="none")
    log_p_bk = logit_bn.log_softmax(-1).gather(1, pairs.soft_label_bk)
    return ((1 - pairs.soft_weight_bk.sum(1)) * own_b - (pairs.soft_weight_bk * log_p_bk).sum(1)).sum()
