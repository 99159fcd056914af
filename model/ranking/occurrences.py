"""Where keyphrases stand in texts, counted on the training posts.

Authors write some hashtags into the sentence and others after it. How often a word was part of a hashtag, and which
words stand before and after one, says how likely a phrase of another text was a hashtag.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from m3h.model.text.stemming import Phrase

START, END = "<start>", "<end>"
"""What stands before the first word of a text and after its last one."""
MOST = 2**53
"""The largest count that is read. Up to here a float has every whole number."""
Key = str


@dataclass(frozen=True)
class Occurrences:
    """Counts over texts.

    seen: how many texts have a word or a label, and how often a token has a word after it or before it. marked: the
    same, where the word or the label belongs to a keyphrase that occurs in the text. Keys are those of `key`.
    """

    seen: Counter[Key] = field(default_factory=Counter)
    marked: Counter[Key] = field(default_factory=Counter)

    @classmethod
    def of(
        cls, tokens: Sequence[str], stems: Sequence[str], keyphrases: Iterable[Phrase], labels: Container[Phrase]
    ) -> "Occurrences":
        """The counts of one text.

        Args:
            tokens: its words.
            stems: their stems.
            keyphrases: the stems of the post's keyphrases.
            labels: the stems of the labels that are counted.
        """
        gold = set(keyphrases)
        longest = max((len(phrase) for phrase in gold), default=0)
        seen, marked = _neighbours(tokens), Counter[Key]()
        seen.update({key("word", stem) for stem in stems})
        words = set[str]()
        for start in range(len(stems)):
            for end in range(start + 1, min(start + LONGEST, len(stems)) + 1):
                span = tuple(stems[start:end])
                if span in labels:
                    seen[key("label", *span)] = 1
                if end - start <= longest and span in gold:
                    marked[key("label", *span)] = 1
                    marked.update(neighbours_of(tokens, start, end))
                    words.update(span)
        marked.update(key("word", stem) for stem in words)
        marked.update({key("keyphrase word", stem) for phrase in gold for stem in phrase})
        return cls(seen, marked)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Occurrences":
        """The counts as `vars` gives them.

        Raises:
            KeyError, AttributeError: there are none.
            ValueError: a count is no whole number from 0 to MOST.
        """
        seen, marked = (dict(stored[name].items()) for name in ("seen", "marked"))
        wrong = [n for n in (*seen.values(), *marked.values()) if not (type(n) is int and 0 <= n <= MOST)]
        if wrong:
            raise ValueError(f"a count of {str(wrong[0])[:20]}")
        return cls(Counter(seen), Counter(marked))

    def share(self, name: Key, without: "Occurrences", *, prior: float, weight: float) -> float:
        """The share of occurrences that are marked, with `weight` further occurrences of which `prior` are marked.

        without: the counts of a text that is left out.
        """
        marked = self.marked[name] - without.marked[name]
        return (marked + prior) / (self.seen[name] - without.seen[name] + weight)


def total(parts: Iterable[Occurrences]) -> Occurrences:
    """The counts of all texts together."""
    whole = Occurrences()
    for part in parts:
        whole.seen.update(part.seen)
        whole.marked.update(part.marked)
    return whole


LONGEST = 6
"""Words of the longest label that is looked for in a text."""


def key(kind: str, *words: str) -> Key:
    """The name of a count. kind: word, label, keyphrase word, before or after."""
    return f"{kind}: {' '.join(words)}"


def neighbours_of(tokens: Sequence[str], start: int, end: int) -> tuple[Key, Key]:
    """The keys of the tokens before and after the words from `start` to `end`."""
    before = tokens[start - 1] if start else START
    after = tokens[end] if end < len(tokens) else END
    return key("before", before), key("after", after)


def _neighbours(tokens: Sequence[str]) -> Counter[Key]:
    return Counter(name for i in range(len(tokens)) for name in neighbours_of(tokens, i, i + 1))
