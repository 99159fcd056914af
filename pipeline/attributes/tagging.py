"""Finds the nouns and adjectives of a caption."""

from typing import Protocol

from m3h.schemas.errors import UsageError


class Tagger(Protocol):
    """A part-of-speech tagger. identity: its name and version."""

    identity: str

    def nouns_and_adjectives(self, caption: str) -> list[str]:
        """The nouns and adjectives of a caption in order, with repetitions."""


class TextBlobTagger:
    """The tagger of Pattern (De Smedt and Daelemans, 2012) in TextBlob, which contains its lexicon."""

    def __init__(self) -> None:
        try:
            from importlib.metadata import version

            from textblob.en import tag
        except ImportError as error:
            raise UsageError(
                "captions are tagged by TextBlob, which is not installed: pip install textblob; "
                "or name the attributes yourself with --vocabulary FILE."
            ) from error
        self._tag = tag
        self.identity = f"textblob {version('textblob')}"

    def nouns_and_adjectives(self, caption: str) -> list[str]:
        """The words with the Penn Treebank tags NN* and JJ*.

        The caption is lower-cased first, so that its first word is not taken for a name.
        """
        return [word for word, kind in self._tag(caption.lower()) if kind.startswith(("NN", "JJ"))]
