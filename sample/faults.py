"""Records that must be dropped, each for one reason only."""

import io
import random
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from m3h.sample import texts
from m3h.sample.drafts import Draft, Writer, failing, picture, written
from m3h.sample.draw import stream
from m3h.sample.plan import OCR, PICTURE, RARE_HASHTAGS, TEXT, TOPICS

SHORT = ("so nice", "wow again", "my favourite")
FOREIGN = (
    ("es", "Esta mañana salimos muy temprano y todavía no puedo creer lo que vimos desde la ventana del tren"),
    ("de", "Gestern sind wir nach der Arbeit noch lange draußen geblieben und es hat sich wirklich gelohnt"),
    ("es", "Mi hermano dice que nadie va a entender por qué me gusta tanto esta foto pero me da igual"),
    ("de", "Meine Nachbarin hat mich gefragt, ob ich ihr das Bild schicken kann, also bitte schön"),
)
NOT_JSON = '{"id": 1200000000000000000, "text": "this line was cut off while it was being wri'
NOT_JSON_LINES = 2
"""One in each dump."""

Maker = Callable[[], Draft]
"""Gives another draft of a random topic, which would be kept as it is."""


def dropped_drafts(writer: Writer, kept: list[Draft]) -> list[Draft]:
    """Records for every reason but `not_json`, the doubles last; `kept` are those they may double."""
    rng = stream(writer.seed, "faults")
    new = _maker(writer, rng)
    return [
        *_bad_references(new),
        *_bad_images(new),
        *_bad_texts(rng, new),
        *_doubles(writer, rng, kept),
    ]


def _maker(writer: Writer, rng: random.Random) -> Maker:
    count = iter(range(1000))
    return lambda: writer.draft(rng.choice(TOPICS), f"dropped-{next(count)}")


def _bad_references(new: Maker) -> list[Draft]:
    return [
        failing(new(), "no_image", pictures=(), dump="v1"),
        failing(new(), "no_image", media_type="animated_gif", dump="v1"),
        failing(new(), "no_image", pictures=(), dump="plain"),
        *(failing(new(), "image_missing", pictures=(None,), dump=dump) for dump in ("v1", "plain", "v1")),
        *(failing(new(), "two_images", pictures=new().pictures + new().pictures, dump=d) for d in ("v1", "plain")),
    ]


def _bad_images(new: Maker) -> list[Draft]:
    drafts = []
    for fate, spoil in (("grey_image", to_grey), ("not_a_jpeg", to_png), ("broken_image", cut_short)):
        drafts += [failing(draft, fate, pictures=(spoil(draft.pictures[0]),)) for draft in (new(), new())]
    return drafts


def _bad_texts(rng: random.Random, new: Maker) -> list[Draft]:
    drafts = []
    for family in (PICTURE, OCR, TEXT):
        tags = [topic.words for topic in family]
        text = texts.generic(rng)
        drafts.append(failing(new(), "too_many_hashtags", text=f"{text} {' '.join(written(rng, tag) for tag in tags)}"))
    for text in SHORT:
        draft = new()
        drafts.append(failing(draft, "too_few_tokens", text=f"{text} {written(rng, draft.topic.words)}"))
    for lang, text in FOREIGN:
        draft = new()
        drafts.append(failing(draft, "not_english", text=f"{text} {written(rng, draft.topic.words)}", lang=lang))
    for number, tag in enumerate(RARE_HASHTAGS):
        draft = new()
        text = f"{draft.text} #{tag}" if number else f"{texts.generic(rng)} #{tag}"
        drafts.append(failing(draft, "rare_hashtag", text=text))
    drafts += [failing(new(), "no_hashtag", text=texts.generic(rng), dump=dump) for dump in ("v1", "plain")]
    return drafts


def _doubles(writer: Writer, rng: random.Random, kept: list[Draft]) -> list[Draft]:
    """Each doubles another kept post of a dump that is known, so that the original comes first."""
    originals = rng.sample([draft for draft in kept if draft.dump == "v1" and not draft.inline], 6)
    originals += rng.sample([draft for draft in kept if draft.dump == "plain" and not draft.inline], 3)
    drafts = []
    for number, original in enumerate(originals):
        fate = ("retweet", "duplicate_text", "duplicate_image")[number % 3]
        double = failing(original, fate, same_as=original.text)
        if fate == "duplicate_text":
            double = replace(double, pictures=picture(rng, original.topic)[:1])
        if fate == "duplicate_image":
            double = replace(double, text=writer.draft(original.topic, f"double-{number}").text)
        drafts.append(double)
    return drafts


def to_grey(data: bytes) -> bytes:
    """The same picture as a JPEG with one channel."""
    return _saved(Image.open(io.BytesIO(data)).convert("L"), "JPEG")


def to_png(data: bytes) -> bytes:
    """The same picture, smaller, as a PNG."""
    return _saved(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 48)), "PNG")


def cut_short(data: bytes) -> bytes:
    """The first half of the file."""
    return data[: len(data) // 2]


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
