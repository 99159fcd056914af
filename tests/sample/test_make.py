"""The committed sample is what its script makes, and plants what its README says."""

import gzip
import io
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from m3h.sample import faults, plan, texts
from m3h.sample.make import FILES, make

SAMPLE = Path(__file__).parents[2] / "sample"
EXPECTED = json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))
POSTS = EXPECTED["posts"]


def lines_of(name):
    data = (SAMPLE / name).read_bytes()
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode().splitlines()


def read_records():
    """Id -> (whole text, hashtags of the entities or of the text, names of the pictures)."""
    found = {}
    for line in itertools.chain.from_iterable(map(lines_of, FILES.values())):
        if line == faults.NOT_JSON:
            continue
        record = json.loads(line)
        body = {**record, **record.get("extended_tweet", {})}
        text = body.get("full_text", body.get("text", ""))
        media = body.get("extended_entities", {}).get("media", [])
        names = [item["media_url_https"].rsplit("/", 1)[1] for item in media]
        names += record.get("images", []) + ([record["image"]] if record.get("image") else [])
        found[str(record["id"])] = (text, [tag.lower() for tag in re.findall(r"#(\w+)", text)], names)
    return found


RECORDS = read_records()


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample")
    make(out)
    return out


@pytest.mark.parametrize("name", FILES.values())
def test_the_script_makes_the_committed_records(again, name):
    made = (again / name).read_bytes()
    made = gzip.decompress(made) if name.endswith(".gz") else made
    assert made.decode().splitlines() == lines_of(name)


def test_the_script_makes_the_committed_expectation(again):
    assert json.loads((again / "expected.json").read_text(encoding="utf-8")) == EXPECTED


def test_the_script_makes_the_committed_pictures(again):
    made, committed = again / "images", SAMPLE / "images"
    assert sorted(p.name for p in made.iterdir()) == sorted(p.name for p in committed.iterdir())
    kept = {post["image"] for post in POSTS.values()}
    for path in committed.iterdir():
        if path.name in kept:
            first, second = (Image.open(folder / path.name) for folder in (made, committed))
            assert first.size == second.size
            assert largest_difference(first, second) <= 8, f"{path.name}: delete it and run python -m sample.make"


def largest_difference(first, second):
    """Of any channel once shrunk: encoders of other versions may differ in single pixels."""
    small = [image.convert("RGB").resize((32, 24), Image.Resampling.BOX).tobytes() for image in (first, second)]
    return max(abs(a - b) for a, b in zip(*small, strict=True))


def test_two_runs_give_the_same_bytes(again, tmp_path):
    make(tmp_path)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) > 360
    assert all((tmp_path / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_another_seed_gives_another_sample_of_the_same_counts(tmp_path):
    other = make(tmp_path, seed=7)
    assert {key: other[key] for key in ("records", "kept", "dropped")} == {
        key: EXPECTED[key] for key in ("records", "kept", "dropped")
    }
    assert other["posts"].keys().isdisjoint(POSTS)


def test_it_is_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if "__pycache__" not in path.parts) < 3_000_000


def test_counts_add_up():
    lines = sum(len(lines_of(name)) for name in FILES.values())
    assert lines == sum(EXPECTED["records"].values())
    assert lines == EXPECTED["kept"]["total"] + sum(EXPECTED["dropped"].values())
    assert EXPECTED["kept"] == {"total": 360, "picture": 120, "ocr": 120, "text": 120}
    assert len(RECORDS) == lines - EXPECTED["dropped"]["not_json"]
    assert POSTS.keys() | EXPECTED["dropped_posts"].keys() == RECORDS.keys()


def test_every_keyphrase_is_frequent_enough_and_every_rare_one_is_not():
    assert min(EXPECTED["keyphrases"].values()) >= 12
    assert len(EXPECTED["keyphrases"]) == 24
    counts = Counter(tag for _, tags, _ in RECORDS.values() for tag in tags)
    assert all(counts[tag] < 10 for tag in plan.RARE_HASHTAGS)


def test_every_kept_post_has_a_colour_jpeg_of_its_own():
    seen = set()
    for post_id, post in POSTS.items():
        assert RECORDS[post_id][2] == [post["image"]]
        data = (SAMPLE / "images" / post["image"]).read_bytes()
        seen.add(data)
        image = Image.open(io.BytesIO(data))
        image.load()
        assert (image.format, image.mode) == ("JPEG", "RGB")
    assert len(seen) == len(POSTS)


def test_every_picture_on_disk_belongs_to_a_record():
    named = {name for _, _, names in RECORDS.values() for name in names}
    on_disk = {path.name for path in (SAMPLE / "images").iterdir()}
    assert on_disk <= named
    missing = {i for i, (_, _, names) in RECORDS.items() if not on_disk.issuperset(names)}
    assert {EXPECTED["dropped_posts"][i] for i in missing} == {"image_missing"}


def test_a_posts_hashtags_are_its_keyphrases():
    for post_id, post in POSTS.items():
        assert sorted(RECORDS[post_id][1]) == sorted(phrase.replace(" ", "") for phrase in post["keyphrases"])


def test_generic_texts_hold_no_word_of_any_keyphrase():
    for post_id, post in POSTS.items():
        found = plan.KEYPHRASE_WORDS.intersection(texts.words(RECORDS[post_id][0]))
        assert not found or post["family"] == "text"


def test_generic_texts_end_with_their_hashtags():
    for post_id, post in POSTS.items():
        body = RECORDS[post_id][0].split("#")[0]
        rest = re.sub(r"[#@]\w+|https?://\S+", " ", RECORDS[post_id][0][len(body) :])
        assert bool(rest.strip()) == post.get("inline", False)


def test_a_poster_is_never_hinted_at_by_its_text():
    for post_id, post in POSTS.items():
        topic = post["keyphrases"][0].replace(" ", "")
        if post["family"] == "ocr":
            own = {*plan.POSTERS[topic].keys, *plan.POSTERS[topic].others}
            assert own.isdisjoint(texts.words(RECORDS[post_id][0]))
            assert 4 <= len(post["poster"]) <= 6
            assert own & set(post["poster"]) >= set(post["poster"]) - set(plan.POSTER_FILLERS)
            assert set(plan.POSTERS[topic].keys) & set(post["poster"])


def test_posters_are_readable_with_the_words_of_texts_and_keyphrases():
    texts_words = Counter(word for post_id in POSTS for word in texts.words(RECORDS[post_id][0]))
    for word in plan.POSTER_WORDS:
        assert len(word) > 3
        assert texts_words[word] >= 4 or word in plan.KEYPHRASE_WORDS
    assert all(len(set(post["poster"]) - plan.KEYPHRASE_WORDS) >= 2 for post in POSTS.values() if "poster" in post)


def test_no_two_texts_are_alike_but_those_that_double_another():
    doubles = {"retweet", "duplicate_text", "too_few_tokens", "not_english"}
    bags = [
        frozenset(texts.words(text))
        for i, (text, _, _) in RECORDS.items()
        if EXPECTED["dropped_posts"].get(i) not in doubles
    ]
    assert all(texts.likeness(a, b) < 0.6 for a, b in itertools.combinations(bags, 2))
    assert all(len(texts.words(RECORDS[i][0])) >= 5 for i in POSTS)


def test_the_v1_dump_has_every_shape_of_status():
    records = [json.loads(line) for line in lines_of(FILES["v1"]) if line != faults.NOT_JSON]
    assert sum("full_text" in r for r in records) > 50
    assert sum("text" in r and not r["truncated"] for r in records) > 20
    assert sum("extended_tweet" in r and r["truncated"] for r in records) > 20
    assert sum("quoted_status" in r for r in records) >= 5
    assert sum("retweeted_status" in r for r in records) == 2


def test_entity_indices_point_at_what_they_name():
    for line in lines_of(FILES["v1"]):
        if line == faults.NOT_JSON:
            continue
        record = json.loads(line)
        body = {**record, **record.get("extended_tweet", {})}
        text = body.get("full_text") or body["text"]
        for tag in body["entities"]["hashtags"]:
            start, end = tag["indices"]
            assert text[start:end] == f"#{tag['text']}"
        if "retweeted_status" not in record:
            for item in body["entities"].get("media", []):
                assert text[slice(*item["indices"])] == item["url"]


def test_what_must_be_dropped_for_its_picture_is_spoilt_as_said():
    spoilt = {reason: [] for reason in ("grey_image", "not_a_jpeg", "broken_image")}
    for post_id, reason in EXPECTED["dropped_posts"].items():
        if reason in spoilt:
            data = (SAMPLE / "images" / RECORDS[post_id][2][0]).read_bytes()
            spoilt[reason].append(Image.open(io.BytesIO(data)))
    assert all(image.mode == "L" for image in spoilt["grey_image"])
    assert all(image.format == "PNG" for image in spoilt["not_a_jpeg"])
    for image in spoilt["broken_image"]:
        with pytest.raises(OSError, match="truncated"):
            image.load()


def test_doubles_come_after_what_they_double():
    order = {i: place for place, i in enumerate(RECORDS)}
    by_image = {}
    for i, (_, _, names) in RECORDS.items():
        if i in POSTS:
            data = (SAMPLE / "images" / names[0]).read_bytes()
            by_image[data] = i
    for i, reason in EXPECTED["dropped_posts"].items():
        if reason == "duplicate_image":
            original = by_image[(SAMPLE / "images" / RECORDS[i][2][0]).read_bytes()]
            assert order[original] < order[i]
            assert int(original) < int(i)
        if reason == "duplicate_text":
            bag = texts.words(RECORDS[i][0])
            assert [o for o in POSTS if texts.words(RECORDS[o][0]) == bag and order[o] < order[i] and int(o) < int(i)]
