"""The tuned sentence encoder of a run: how it is made, read again, and what it reads of posts."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from m3h.model.config import Config
from m3h.model.data.label_spans import LabelSpans
from m3h.model.data.posts import Posts
from m3h.model.data.sentences import SentenceEncoder, WordPieces
from m3h.model.data.tensor_files import load_tensors
from m3h.model.data.text_phrases import TextPhrases
from m3h.model.networks.tuned_encoder import TunedEncoder
from m3h.model.ranking.label_clues import centred
from m3h.model.training.tuning import TuningOptions, TuningPosts
from m3h.schemas.errors import IntegrityError
from m3h.schemas.vocab import SEP, Vocabulary

TUNED_FILE = "tuned_encoder.safetensors"
FOLDS, FEW_FOLDS, MANY = 4, 2, 10_000
"""Folds of the training posts, and of MANY. Each encoder then still sees more posts than with FOLDS of fewer, and the
time does not double."""


def tuning_posts(
    encoder: SentenceEncoder,
    posts: Posts,
    sources: Sequence[Sequence[str]],
    *,
    labels: Vocabulary,
    config: Config,
    training: bool = False,
) -> TuningPosts:
    """Posts as the tuned encoder reads them: the text, and behind it the other words of the source.

    Raises UsageError: the encoder cannot say which token a piece is of.

    Args:
        encoder: the sentence encoder.
        posts: what is read.
        sources: the words of each post as the model reads them.
        labels: that may stand in the texts.
        config: of the run.
        training: whether they are training posts, whose keyphrases are learned.
    """
    pairs = zip(posts.tokens, sources, strict=True)
    further = [[word for word in source[len(tokens) :] if word != SEP] for tokens, source in pairs]
    pieces = encoder.word_pieces(posts.tokens, further, config.sentence_tuning_pieces)
    spans = LabelSpans.find(posts.tokens, labels)
    if not config.phrase_candidates:
        return TuningPosts(pieces, spans)
    keyphrases = posts.keyphrases if training else None
    return TuningPosts(pieces, spans, TextPhrases.find(posts.tokens, _words_read(pieces), keyphrases))


def _words_read(pieces: WordPieces) -> list[int]:
    """How many tokens of each text have a piece."""
    offsets, words = pieces.words.offsets, pieces.words.values
    return [int(words[start:end].max(initial=-1)) + 1 for start, end in pairwise(offsets)]


def tuning_options(config: Config, posts: int) -> TuningOptions:
    """How the encoder is tuned on so many posts."""
    wanted = config.sentence_tuning_folds or (FEW_FOLDS if posts >= MANY else FOLDS)
    folds = max(2, min(wanted, posts))
    return TuningOptions(config.sentence_tuning_epochs, config.sentence_tuning_rate, folds, config.seed)


def new_tuned(encoder: SentenceEncoder, config: Config, name_nv: Tensor) -> TunedEncoder:
    """An encoder that is not tuned yet. name_nv: (n, v) vectors of the labels' names.

    Raises:
        UsageError: it has another architecture than BERT's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        dropout, layers = config.dropout / 2, config.sentence_tuning_layers
        phrases = config.phrase_candidates > 0
        return TunedEncoder(encoder.transformer, layers, centred(name_nv), dropout=dropout, phrases=phrases)


def read_tuned(folder: Path, encoder: SentenceEncoder, config: Config, n_labels: int) -> TunedEncoder:
    """The tuned encoder of a run folder.

    Raises IntegrityError: its file is missing, damaged, or does not fit the others. Raises UsageError: as `new_tuned`.

    Args:
        folder: of the run.
        encoder: the sentence encoder of the run.
        config: of the run.
        n_labels: size of the label vocabulary.
    """
    path = folder / TUNED_FILE
    tensors = load_tensors(path)
    tuned = new_tuned(encoder, config, torch.zeros(n_labels, encoder.width))
    expected = {name: tensor.shape for name, tensor in tuned.state_dict().items()}
    if expected != {name: tensor.shape for name, tensor in tensors.items()}:
        raise IntegrityError(f"{path}: not the tuned encoder of this run by its config.json. Train again.")
    tuned.load_state_dict(tensors)
    return tuned.eval()
