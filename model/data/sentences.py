"""States of a frozen sentence encoder: vectors of the word pieces of a post's text, as a further memory bank.

`text_encoder=minilm` is all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019), whose weights are a Python
package. Any other value is a folder as the library sentence-transformers reads it. Nothing is ever downloaded.

A text is encoded once: its states are kept in the user's cache, under the hash of the encoder's files and of the texts.

Axes: n posts, s pieces of all posts, B batch, L pieces of a post, c channels.
"""

import hashlib
import importlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3h.model.config import SENTENCE_ENCODERS
from m3h.model.data.batch import Masked
from m3h.model.data.pictures import Cells
from m3h.model.data.posts import Posts
from m3h.model.data.ragged import Ragged
from m3h.model.data.tensor_files import Tensors, load_tensors, save_tensors
from m3h.schemas.errors import IntegrityError, MachineError, UsageError
from m3h.schemas.files import sha256_file, user_cache

logger = logging.getLogger(__name__)
EXTRA = "pip install 'm3h[sentences]'"
BATCH = 64
MANY = 10_000
"""Texts that are encoded at one time where only their means are kept. The states of as many take 0.2 GB."""


@dataclass(frozen=True)
class Pieces(Cells):
    """The states of posts, one after the other. features: (s, c) float16. pieces: the states of each post.

    word_s: the position of the token that each state is of, -1 where it is of none; None where nobody asked.
    Posts are rows here as pictures are elsewhere.
    """

    pieces: Ragged = field(default_factory=lambda: Ragged.from_rows([]))
    word_s: np.ndarray | None = None

    def words_of(self, picture_b: np.ndarray) -> np.ndarray:
        """(B, L) the positions of tokens, -1 for padding and for the post -1; TypeError where they are not known."""
        if self.word_s is None:
            raise TypeError("the words of these states are not known.")
        index_bl, mask_bl = self.pieces.padded(np.maximum(picture_b, 0))
        words_bl: np.ndarray = np.where(mask_bl & (picture_b >= 0)[:, None], self.word_s[index_bl], -1)
        return words_bl

    def of(self, picture_b: np.ndarray, device: str | torch.device = "cpu") -> Masked:
        """(B, L, c) and (B, L): the states of these posts. The post -1 has none."""
        index_bl, mask_bl = self.pieces.padded(np.maximum(picture_b, 0))
        mask_bl = mask_bl & (picture_b >= 0)[:, None]
        state_blc = self._rows(torch.from_numpy(index_bl.ravel())).view(*index_bl.shape, self.channels)
        return Masked(state_blc.to(device), torch.from_numpy(mask_bl).to(device))


@dataclass(frozen=True)
class WordPieces:
    """Texts as the encoder's word pieces. ids: of each text. words: the token that each is of, -1 where of none."""

    ids: Ragged
    words: Ragged


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder's folder on this machine, and the sha256 over its files. Weights are loaded when they are needed."""

    folder: Path
    sha256: str

    @classmethod
    def find(cls, name: str) -> "SentenceEncoder":
        """The encoder of that name or folder.

        Raises:
            UsageError: a package is missing, or the folder has no encoder.
        """
        _library()
        folder = _package_folder(name) if name in SENTENCE_ENCODERS else Path(name)
        if not (folder / "modules.json").is_file():
            raise UsageError(
                f"text_encoder={name}: expected {', '.join(SENTENCE_ENCODERS)}, or a folder with a modules.json as "
                f"sentence-transformers saves it; {folder} has none. Give the folder of a sentence encoder."
            )
        return cls(folder, _sha256_of_files(folder))

    @cached_property
    def width(self) -> int:
        """Numbers of a state."""
        return int(self.states(["width"], keep=False).channels)

    @cached_property
    def _model(self) -> Any:
        try:
            model = _library().SentenceTransformer(str(self.folder), device="cpu", local_files_only=True)
            if not len(model):  # before version 6 that was no fault
                raise ValueError("it has no module")
            return model
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise UsageError(f"text_encoder={self.folder}: no sentence encoder ({first[0]}).") from error

    def attach(self, posts: Posts, *, keep: bool, pooled: bool = False, words: bool = False) -> Posts:
        """The posts with the states of their tokens.

        Args:
            posts: without states.
            keep: in the cache, for a later run.
            pooled: their means alone.
            words: find out of which token each state is, too.

        Raises:
            UsageError: the encoder cannot say which token a state is of.
        """
        # where the posts are a part of more, their rows are numbered anew
        rows = [row if earlier >= 0 else -1 for row, earlier in enumerate(posts.sentence)]
        texts = [" ".join(tokens) for tokens in posts.tokens]
        pieces = (self.means if pooled else self.states)(texts, keep=keep)
        if words and not pooled:
            pieces = replace(pieces, word_s=self._words(texts, pieces.pieces.lengths()))
        return replace(posts, sentence=rows, sentences=pieces)

    @property
    def transformer(self) -> Any:
        """Its network of the library transformers, whose last layers can be tuned.

        Raises:
            UsageError: it has another architecture than BERT's.
        """
        found = getattr(self._model[0], "auto_model", None)
        kind = getattr(getattr(found, "config", None), "model_type", "no transformer")
        if found is None or kind != "bert":
            raise UsageError(
                f"text_encoder={self.folder}: only an encoder of the architecture bert can be tuned, and this one is "
                f"{kind}. Add --set sentence_tuning_epochs=0, or give another encoder."
            )
        return found.eval()

    def word_pieces(self, texts: Sequence[Sequence[str]], further: Sequence[Sequence[str]], most: int) -> WordPieces:
        """The pieces of the tokens of each text, and behind them those of further words, which are of no token.

        Raises UsageError: the encoder cannot say which token a piece is of.

        Args:
            texts: the tokens of each.
            further: words that belong to each, such as those of its image.
            most: pieces of a text.
        """
        tokenizer = self._fast_tokenizer("sentence_tuning_epochs")
        ids: list[list[int]] = []
        words: list[list[int]] = []
        for text, others in zip(texts, further, strict=True):
            parts = [list(part) for part in (text, others) if part] or [[""]]
            found = tokenizer(*parts, is_split_into_words=True, truncation=True, max_length=most)
            ids.append(found["input_ids"])
            own = [part == 0 and bool(text) for part in found.sequence_ids()]
            pairs = zip(found.word_ids(), own, strict=True)
            words.append([-1 if word is None or not is_own else word for word, is_own in pairs])
        return WordPieces(Ragged.from_rows(ids), Ragged.from_rows(words))

    def _fast_tokenizer(self, wanted_by: str) -> Any:
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise UsageError(
                f"text_encoder={self.folder} has no tokenizer of the library tokenizers, which {wanted_by} need. "
                "Give another encoder, or leave them out."
            )
        return tokenizer

    def _words(self, texts: Sequence[str], lengths: np.ndarray) -> np.ndarray:
        """(s,) the token of each state, counted by the spaces before it."""
        tokenizer = self._fast_tokenizer("word_states and label_pointer")
        found: list[int] = []
        for text, length in zip(texts, lengths, strict=True):
            spans = tokenizer(text, return_offsets_mapping=True, truncation=True, max_length=int(length))
            spaces = np.cumsum([character == " " for character in text])
            words = [int(spaces[start]) if end > start else -1 for start, end in spans["offset_mapping"]]
            found += [*words, *[-1] * (int(length) - len(words))]
        return np.array(found, np.int64)

    def vectors(self, texts: Sequence[str]) -> torch.Tensor:
        """(n, c) float32 mean state of each text; not cached."""
        return self.states(texts, keep=False).pooled(np.arange(len(texts))).values

    def states(self, texts: Sequence[str], *, keep: bool = True) -> Pieces:
        """The states of texts, from the cache where it has them. keep: write them there where it has not.

        Raises:
            UsageError: the folder has no sentence encoder, or one without states of word pieces.
        """
        return _pieces(self._kept(texts, "", keep))

    def means(self, texts: Sequence[str], *, keep: bool = True) -> Pieces:
        """The mean state of each text in place of its states, float32; a tenth of the memory. Else as `states`."""
        return _pieces(self._kept(texts, ".means", keep))

    def _kept(self, texts: Sequence[str], kind: str, keep: bool) -> Tensors:
        """What `_encode` or, of the kind `.means`, `_mean` gives of the texts, by way of the cache."""
        digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
        file = cache_folder() / self.sha256[:16] / f"{digest}{kind}.safetensors"
        try:
            tensors = _cached(file) if file.exists() else None
        except (IntegrityError, OSError) as error:
            logger.warning(f"{error} The texts are encoded again.")
            tensors = None
        if tensors is None:
            tensors = self._mean(texts) if kind else self._encode(texts)
            if keep:
                _keep(file, tensors)
        return tensors

    def _mean(self, texts: Sequence[str]) -> Tensors:
        """As `_encode`, with one state a text, float32; none for a text without any."""
        means, has = [], []
        for start in range(0, len(texts), MANY):
            part = texts[start : start + MANY]
            mean_nc, has_n = _pieces(self._encode(part)).pooled(np.arange(len(part)))
            means.append(mean_nc[has_n])
            has.append(has_n)
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), torch.cat(has).cumsum(0)])
        return {"states": torch.cat(means), "offsets": offsets}

    def _encode(self, texts: Sequence[str]) -> Tensors:
        """states: (s, c) float16. offsets: (n + 1,) where the pieces of each text begin."""
        try:
            found = self._model.encode(
                list(texts), batch_size=BATCH, output_value="token_embeddings", show_progress_bar=False
            )
        except KeyError as error:  # static embeddings and bags of words have one vector a text
            raise UsageError(
                f"text_encoder={self.folder}: expected an encoder with a state for each word piece, and this one has "
                f"no {error}. Give a folder whose first module is a transformer."
            ) from error
        lengths = torch.tensor([len(state_lc) for state_lc in found])
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
        return {"states": torch.cat([state_lc.cpu().half() for state_lc in found]), "offsets": offsets}


def _pieces(tensors: Tensors) -> Pieces:
    offsets = tensors["offsets"].numpy()
    return Pieces(tensors["states"], pieces=Ragged(np.arange(offsets[-1]), offsets))


def cache_folder() -> Path:
    """Where states are kept."""
    return user_cache("sentences")


def _cached(file: Path) -> Tensors:
    """The states in a file of the cache; IntegrityError where it has others."""
    tensors = load_tensors(file)
    if tensors.keys() != {"states", "offsets"}:
        raise IntegrityError(f"{file}: expected states and offsets, found {', '.join(sorted(tensors)) or 'nothing'}.")
    return tensors


def _keep(file: Path, tensors: Tensors) -> None:
    """Write states into the cache. It only saves time, so a cache that cannot be written stops nothing."""
    try:
        save_tensors(file, tensors)
    except (OSError, MachineError) as error:
        logger.warning(f"{error} The states are not kept, and are computed again next time (XDG_CACHE_HOME).")


def _library() -> Any:
    try:
        library = importlib.import_module("sentence_transformers")
        importlib.import_module("transformers").utils.logging.disable_progress_bar()
    except ImportError as error:
        raise UsageError(f"text_encoder needs the package sentence-transformers ({error}): {EXTRA}") from error
    return library


def _package_folder(name: str) -> Path:
    try:
        found = importlib.import_module(SENTENCE_ENCODERS[name]).__file__
    except ImportError as error:
        raise UsageError(f"text_encoder={name} needs a package with its weights ({error}): {EXTRA}") from error
    return Path(str(found)).parent / "model"


def _sha256_of_files(folder: Path) -> str:
    """One hash over the names and the contents of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_file(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
