"""Sentences. Generic ones fit any picture; topical ones give their hashtag away by their words."""

import random
import re

from m3h.sample.plan import KEYPHRASE_WORDS, Topic
from m3h.sample.topics import PHRASES, SENTENCES

OPENERS = (
    "Took this on my way back {when}",
    "Sharing this one because {who} asked twice",
    "Not sure anybody needs this but here it is",
    "My phone still does a decent job {when}",
    "Could not keep this to myself {when}",
    "Still smiling about this {num} hours later",
    "Posting before I forget again",
    "{who} said I should put this up here",
    "Found this on my old camera {when}",
    "Nobody told me it would be like this",
    "This was worth every minute of the drive",
    "I owe {who} a long overdue picture",
    "Number {num} of things that made me stop {when}",
    "Proof that I do leave the house",
    "Just look at that and breathe slowly",
    "We waited {num} minutes and then this",
    "Hello from wherever {who} took me {when}",
    "Ok I finally get what {who} meant",
    "Small reminder to look up sometimes",
    "I have been meaning to show you this since {month}",
    "Everything went wrong {when} except for this",
    "Best thing I have seen since {month}",
    "Allow me to interrupt your feed",
    "Thanks {who} for dragging me along {when}",
    "A quick one from {month} that I like more each year",
    "Somebody please tell me this is real",
    "Tried {num} times to get this right",
    "First post in {num} weeks so be kind",
    "This is how my {weekday} ended",
    "Came for one thing & stayed for another",
    "{weekday} mood in a single frame",
    "Honestly this cheered me up {when}",
)
CLOSERS = (
    "and I would do it all again",
    "so tell me what you think",
    "hope your week treats you well",
    "no filter and no regrets",
    "more of these soon I promise",
    "{who} you should have been there",
    "my kids were not impressed at all",
    "now I need a nap and some soup",
    "worth the {num} missed calls",
    "please send help or snacks",
    "that is all I wanted to say",
    "and then my battery died",
    "what a difference {num} days can make",
    "guess who forgot the umbrella",
    "can we go back already",
    "greetings to everybody who remembers {month}",
    "it smelled better than it looks",
    "the story behind it is on my page",
    "ask {who} for the other half of the story",
    "you can laugh if you like",
    "I am keeping this as my wallpaper",
    "{weekday} me would never believe it",
    "see you all again in {month}",
    "there are {num} more where that came from",
    "which one of you wants a print",
    "still cannot feel my feet though",
    "nothing else happened {when}",
    "somehow we got there on time",
    "my neighbour thinks I am odd now",
    "do not ask how long that took",
    "thank you for coming to my talk",
    "and yes it was quiet for once",
)
ASIDES = (
    "somebody behind me kept repeating the word {word}",
    "no idea why {word} came to mind",
    "the crossword wanted {word} by the way",
    "{word} was the only word I could think of",
    "my sister texted me just {word} and a question mark",
    "we ended up talking about {word} of all things",
    "autocorrect turned my reply into {word}",
    "the radio said something about {word}",
)
WHEN = (
    "this morning",
    "last week",
    "yesterday",
    "just now",
    "after work",
    "before breakfast",
    "at noon",
    "again today",
)
MONTHS = ("january", "march", "april", "june", "august", "october", "november")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
FRIENDS = ("my brother", "Grandma", "Nadia", "my boss", "Tom", "the neighbour", "my best friend", "Priya")
HANDLES = (
    "quiet_otter",
    "mapleandme",
    "norah_k",
    "just_bo_here",
    "tiny_tuesday",
    "lars1987",
    "vel_writes",
    "okaypeter",
)
EMOJIS = ("😍", "🙌", "😂", "✨", "🤔", "👀", "❤️", "😅", "🎉")


def fill(rng: random.Random, template: str, **given: str) -> str:
    """`template` with every slot filled; each use of a slot is drawn anew unless `given`."""

    def draw(match: re.Match[str]) -> str:
        slot = match[1]
        if slot in given:
            return given[slot]
        if slot == "num":
            return str(rng.randint(2, 90))
        if slot == "who":
            return f"@{rng.choice(HANDLES)}" if rng.random() < 0.4 else rng.choice(FRIENDS)
        return rng.choice({"when": WHEN, "month": MONTHS, "weekday": WEEKDAYS}[slot])

    return re.sub(r"\{(\w+)\}", draw, template)


def generic(rng: random.Random, stray: str = "") -> str:
    """A text that fits any post. stray: a word to mention in passing, or ""."""
    parts = [fill(rng, rng.choice(OPENERS)), fill(rng, rng.choice(CLOSERS))]
    if stray:
        parts.insert(1, fill(rng, rng.choice(ASIDES), word=stray))
    return decorate(rng, parts)


def topical(rng: random.Random, topic: Topic, tag: str, stray: str = "") -> tuple[str, bool]:
    """A text about `topic`, and whether `tag` (with `#`) stands inside a sentence of it."""
    phrases = list(PHRASES[topic.hashtag])
    rng.shuffle(phrases)
    template = rng.choice(SENTENCES[topic.hashtag])
    first = fill(rng, template, tag=tag, a=phrases[0], b=phrases[1])
    parts = [first, fill(rng, rng.choice(CLOSERS))]
    if stray:
        parts.insert(1, fill(rng, rng.choice(ASIDES), word=stray))
    return decorate(rng, parts), "{tag}" in template


def decorate(rng: random.Random, parts: list[str]) -> str:
    """Join clauses the way people do: commas, dots, exclamation marks, here and there an emoji."""
    text = parts[0]
    for part in parts[1:]:
        text += rng.choice((", ", " - ", ". ", "! ", " … "))
        text += part[0].upper() + part[1:] if text[-2] in ".!" else part
    text += rng.choice(("", "", ".", "!"))
    if rng.random() < 0.35:
        text += f" {rng.choice(EMOJIS)}"
    return text


def words(text: str) -> list[str]:
    """Lower-cased words of a text without links, mentions, hashtags and numbers."""
    return re.findall(r"[a-z]+", re.sub(r"https?://\S+|[@#]\w+|\d+", " ", text.lower()))


def likeness(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared words over all words of two texts, 0 to 1."""
    return len(first & second) / len(first | second)


def is_neutral(text: str) -> bool:
    """Whether no word of any keyphrase stands in `text`."""
    return KEYPHRASE_WORDS.isdisjoint(words(text))
