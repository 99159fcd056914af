"""Which words of a caption are nouns or adjectives."""

from typing import Protocol

from schemas.errors import UsageError


class Tagger(Protocol):
    """Anything that knows parts of speech. identity: which one, and its version."""

    identity: str

    def nouns_and_adjectives(self, caption: str) -> list[str]:
        """Words as they are written, in order, repetitions included."""


class TextBlobTagger:
    """The tagger of Pattern (De Smedt and Daelemans, 2012) as TextBlob ships it: its lexicon comes with the package."""

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
        """Penn Treebank's NN*, JJ*. Lower-cased first: a caption's first word is no name."""
        return [word for word, kind in self._tag(caption.lower()) if kind.startswith(("NN", "JJ"))]
