"""Reading, tokens and language of posts, against a plain loop of ekphrasis and py3langid over the same JSON lines.

Made tweets (benchmarks.dumps) without the language that a dump states, so that all sides guess it. Ours goes by stage,
as a build does: a dump is read to its end before the texts of a shard are. A second side of ours goes by post, as the
loops do, which costs more, as less of the program stays in the processor's caches. Ours cuts hashtags into words, so
the loop does it too, by ekphrasis; the last side is the loop without that. Ours also reads links, mentions and hashtags
by Twitter's rules, masks addresses, and judges the post, which no loop does. What must be equal: the tokens of every
post that all read and that has no letter thrice (`goood`), which each corrects by other counts. Words of hashtags are
other ones, as ours are looked up otherwise (benchmarks.segmentation). Languages are counted only: ours guesses among
fewer, without hashtags and links.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

if TYPE_CHECKING:
    from m3h.schemas.posts import Post

DUMP = "dump.jsonl"
_LAST_HASHTAGS = re.compile(r"(?:\s*#\w+)+(?=(?:\s*https?://\S+)?\s*$)")
_HASHTAG = re.compile(r"#(\w+)")
_THRICE = re.compile(r"([a-zA-Z])\1\1")
_TAGS = {"<url>": "<url>", "<user>": "<mention>"}
_TAGS.update({f"<{kind}>": "<number>" for kind in ("number", "time", "date", "percent", "money", "phone")})


def make(work: Work) -> None:
    """One dump; and the word counts of the package wordsegment for ekphrasis, which would download its own."""
    from benchmarks.dumps import records
    from m3h.pipeline.text.word_statistics import read_counts, statistics_files

    for n, path in statistics_files(None).items():
        own = work.folder / ".ekphrasis" / "stats" / "english" / f"counts_{n}grams.json"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(json.dumps(read_counts(path)))

    with open(work.folder / DUMP, "wb") as file:
        for line in records(work.number):
            file.write(line.replace(b',"lang":"en"', b"") + b"\n")


def ours(work: Work) -> Answer:
    """As a build reads posts, in one process and without Beam: the dump, then a shard's texts, then their verdicts."""
    from m3h.schemas.posts import Post

    tokenize, judge, records = _ours(work)
    posts = [record for record in records() if isinstance(record, Post)]
    read = [tokenize(post) for post in posts]
    return {"posts": {post.post_id: [" ".join(post.tokens), judge(post)] for post in read}}


def ours_by_post(work: Work) -> Answer:
    """The same, each post through all of it before the next one is read, as the loops do."""
    from m3h.schemas.posts import Post

    tokenize, judge, records = _ours(work)
    found = {}
    for record in records():
        if isinstance(record, Post):
            post = tokenize(record)
            found[post.post_id] = [" ".join(post.tokens), judge(post)]
    return {"posts": found}


def _ours(work: Work) -> tuple[Callable[["Post"], "Post"], Callable[["Post"], str], Callable[[], Iterator[Any]]]:
    """The tokenizer, the verdicts on a post, which give its language, and the records of the dump. The work begins."""
    from m3h.pipeline.cleaning.text_rules import language_verdict, text_verdict
    from m3h.pipeline.readers.dumps import read_dump
    from m3h.pipeline.readers.find import find_dumps
    from m3h.pipeline.rules import CleanRules, ReadRules, TextRules
    from m3h.pipeline.text.tokenizer import tokenizer_of
    from m3h.schemas.posts import Post

    tokenize = tokenizer_of(TextRules())
    language_verdict(tokenize.read(Post(post_id="0", text="warm")), CleanRules())
    rules = CleanRules(min_tokens=0, max_hashtags=1000, need_hashtag=False, languages=())

    def judge(post: Post) -> str:
        text_verdict(post, rules)
        return getattr(language_verdict(post, rules), "lang", "")

    def records() -> Iterator[Any]:
        (dump,) = find_dumps([str(work.folder / DUMP)])
        return read_dump(dump, ReadRules())

    work.begin()
    return tokenize.read, judge, records


def plain(work: Work) -> Answer:
    """The loop a user would write. Its start reads word counts, which is not its work."""
    return _plain(work, phrases=False)


def plain_phrases(work: Work) -> Answer:
    """The same, and each hashtag once into words, as keyphrases need it."""
    return _plain(work, phrases=True)


def _plain(work: Work, *, phrases: bool) -> Answer:
    os.environ["HOME"] = str(work.folder)  # where ekphrasis looks for its word counts
    from ekphrasis.classes.preprocessor import TextPreProcessor
    from ekphrasis.classes.segmenter import Segmenter
    from ekphrasis.classes.tokenizer import SocialTokenizer
    from py3langid import classify

    process = TextPreProcessor(
        normalize=["url", "email", "percent", "money", "phone", "user", "time", "date", "number"],
        annotate={"elongated", "repeated"}, unpack_contractions=True, spell_correct_elong=True,
        tokenizer=SocialTokenizer(lowercase=True).tokenize,
    )  # fmt: skip
    segment = lru_cache(maxsize=None)(Segmenter(corpus="english").segment)
    classify("warm")
    segment("warm")
    work.begin()
    found = {}
    for status in _statuses(work):
        text = status["full_text"]
        for medium in status["extended_entities"]["media"]:
            text = text.replace(medium["url"], "").strip()
        if phrases:
            _ = [segment(tag) for tag in _HASHTAG.findall(text)]
        words = process.pre_process_doc(_LAST_HASHTAGS.sub("", text))
        tokens = [_TAGS.get(word, word) for word in words if word.isalpha() or word in _TAGS]
        found[status["id_str"]] = [" ".join(tokens), str(classify(text)[0]), bool(_THRICE.search(text))]
    return {"posts": found}


def _statuses(work: Work) -> Iterator[dict[str, Any]]:
    with open(work.folder / DUMP, "rb") as file:
        for line in file:
            try:
                status = json.loads(line)
            except ValueError:
                continue
            if isinstance(status, dict) and status.get("id_str") and isinstance(status.get("full_text"), str):
                yield status


def compare(answers: Mapping[str, Answer]) -> str:
    """Tokens must be equal."""
    mine, by_post, parted, theirs = (answer["posts"] for answer in answers.values())
    if mine != by_post:
        raise WrongAnswer("post by post, ours has other tokens or languages.")
    if parted != theirs:
        raise WrongAnswer("the two plain loops have other tokens or languages.")
    both = mine.keys() & theirs.keys()
    same = [post for post in sorted(both) if not theirs[post][2]]
    different = [post for post in same if mine[post][0] != theirs[post][0]]
    if different or len(both) < len(mine) * 0.9:
        example = different[0] if different else ""
        raise WrongAnswer(f"{len(different)} of {len(same)} posts have other tokens: {mine.get(example)}, "
                          f"{theirs.get(example)}")  # fmt: skip
    languages = sum(mine[post][1] == theirs[post][1] for post in both)
    return (
        f"tokens of all {len(same):,} posts without a letter thrice are equal ({len(both):,} that both read); "
        f"languages agree for {languages / len(both):.0%}."
    )


CASE = Case(
    name="text",
    title="Read a dump, tokens, language: a plain loop of ekphrasis and py3langid",
    things="posts",
    number=4000,
    prepare=(Side("made", "benchmarks.cases.text:make", peer=False),),
    sides=(
        Side("m3h", "benchmarks.cases.text:ours", peer=False),
        Side("m3h, post by post", "benchmarks.cases.text:ours_by_post", peer=False),
        Side("ekphrasis, py3langid, hashtags into words", "benchmarks.cases.text:plain_phrases"),
        Side("without the words of hashtags", "benchmarks.cases.text:plain"),
    ),
    compare=compare,
    bound="what a plain loop does not do: entities by Twitter's rules, masks; hashtags into words by pairs of words.",
)
