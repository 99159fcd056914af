"""Joint objective, Eq. (12): generation and classification, each a mean over the batch's post-keyphrase pairs."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from model.batches import Pairs
from model.unified import KeyphraseModel


@dataclass(frozen=True)
class Loss:
    """joint: scalar to descend. generate: summed over a batch's words. classify: summed over its known labels.

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
        labels = int((pairs.label_b != 0).sum())
        classify = F.cross_entropy(encoding.logit_bn, pairs.label_b, ignore_index=0, reduction="sum")
    if encoding.topics is not None:
        topics = encoding.topics.loss_b.sum()
    count = len(pairs.label_b)
    joint = (generate + gamma * classify + topic_weight * topics) / count
    return Loss(joint, float(generate.detach()), words, float(classify.detach()), labels, count, float(topics.detach()))
