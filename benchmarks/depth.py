"""What a network of labels gains from a few thousand posts as it becomes deeper: the same words, ever more layers.

    python -m benchmarks.depth --dataset data/cmkp --train-split valid --select last:537

The mean of word vectors and one linear layer; a hidden layer in between; then the text encoder of the systems (Eq. 1)
before them. Everything else is alike: words, first vectors N(0, 0.1), Adam at 1e-3, batches of 64 pairs, 15 epochs,
dropout 0.1, one seed. Printed of the best epoch: F1@1 (cmkp) of the selection posts and the mean -log P of their known
labels then; and the loss of the training pairs in the last epoch.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.data.batch import Batch
from m3h.model.data.encoding import Encoded, encode
from m3h.model.data.posts import Reader, Vocabularies
from m3h.model.networks.classifier import Classifier
from m3h.model.networks.encoder import TextEncoder, WordBank, init_embedding
from m3h.model.scoring.metrics import score
from m3h.schemas.dataset import Dataset

EPOCHS, BATCH, WIDTH, DROPOUT = 15, 64, 300, 0.1
KINDS = (
    ("mean of word vectors, linear", False, 1),
    ("mean of word vectors, hidden layer, linear", False, 2),
    ("two-layer BiGRU, mean, linear", True, 1),
    ("two-layer BiGRU, mean, hidden layer, linear", True, 2),
)
"""Name, whether with the text encoder, layers of the classifier."""


class Labeller(nn.Module):
    """Logits of labels from the mean of a text bank."""

    def __init__(self, words: int, labels: int, recurrent: bool, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, WIDTH, padding_idx=0)
        init_embedding(self.embedding)
        self.text = TextEncoder(WIDTH, WIDTH, 2, dropout=DROPOUT) if recurrent else WordBank()
        self.classifier = Classifier(WIDTH, labels, layers, dropout=DROPOUT)

    def forward(self, batch: Batch) -> Tensor:
        """(B, labels)."""
        bank, _ = self.text(self.embedding(batch.source_bl), batch.mask_bl)
        return self.classifier(bank.pooled("avg"))


def train_labeller(model: Labeller, train: Encoded, selection: Encoded, labels: Sequence[str]) -> str:
    """Train it; what is printed."""
    optimizer, rng = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), np.random.default_rng(23)
    best, loss = (0.0, 0.0, 0), 0.0
    for epoch in range(1, EPOCHS + 1):
        model.train()
        order = rng.permutation(len(train.labels))
        losses = []
        for start in range(0, len(order), BATCH):
            pairs = train.pairs_batch(order[start : start + BATCH])
            step = F.cross_entropy(model(pairs.batch), pairs.label_b)
            optimizer.zero_grad()
            step.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            losses.append(step.item())
        loss = float(np.mean(losses))
        best = max(best, (*evaluate(model, selection, labels), epoch))
    f1, unseen, epoch = best
    return f"F1@1 {100 * f1:.1f}, -log P {unseen:.2f} (epoch {epoch}); training loss {loss:.2f} in the end"


@torch.inference_mode()
def evaluate(model: Labeller, posts: Encoded, labels: Sequence[str]) -> tuple[float, float]:
    """F1@1, and the mean -log P of the labels that are known."""
    model.eval()
    logit_pn = torch.cat([model(posts.posts_batch(rows)) for rows in np.array_split(np.arange(len(posts.sources)), 9)])
    logit_pn[:, 0] = -torch.inf  # <unk>
    found = [[labels[i]] for i in logit_pn.argmax(-1).tolist()]
    known = posts.labels != 0
    wanted = torch.from_numpy(posts.labels[known])
    unseen = F.cross_entropy(logit_pn[torch.from_numpy(posts.pair_post[known])], wanted)
    return score(found, posts.posts.keyphrases)["all"]["f1@1"], float(unseen)


def main(argv: Sequence[str]) -> int:
    """Train all kinds, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, type=Path)
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--select", default="valid")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    reader = Reader(Dataset(args.dataset), {"text", "ocr"}, "cpu")
    posts = reader.training_and_selection(args.train_split, args.select)
    vocabularies = Vocabularies.build(posts[0], 45_000)
    train, selection = (encode(split, vocabularies, 100, inputs=["text", "ocr"]) for split in posts)
    labels = vocabularies.labels.words
    for name, recurrent, layers in KINDS:
        torch.manual_seed(23)
        started = time.process_time()
        printed = train_labeller(
            Labeller(len(vocabularies.words), len(labels), recurrent, layers), train, selection, labels
        )
        print(f"{name}: {printed}; {time.process_time() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
