"""Joint objective, Eq. (12): generation and classification, each a mean over the batch's post-keyphrase pairs."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from model.batches import Pairs
from model.unified import KeyphraseModel


@dataclass(frozen=True)
class Loss:
    """joint: scalar to descend. generate: summed over a batch's words. classify: summed over its known labels."""

    joint: Tensor
    generate: float
    words: int
    classify: float
    labels: int
    pairs: int


def joint_loss(model: KeyphraseModel, pairs: Pairs, gamma: float) -> Loss:
    """-log P(keyphrase) + gamma x -log P(label), per pair; Eq. (12). A label unseen in training counts nothing."""
    encoding = model(pairs.batch)
    count = len(pairs.label_b)
    generate = encoding.state_bd.new_zeros(())
    classify, words, labels = generate, 0, 0
    if model.decoder is not None:
        log_p_n = model.log_likelihood(pairs, encoding)
        generate, words = -log_p_n.sum(), len(log_p_n)
    if model.classifier is not None:
        labels = int((pairs.label_b != 0).sum())
        classify = F.cross_entropy(encoding.logit_bn, pairs.label_b, ignore_index=0, reduction="sum")
    joint = (generate + gamma * classify) / count
    return Loss(joint, float(generate.detach()), words, float(classify.detach()), labels, count)
