"""Pictures that are marked as sensitive, and descriptions of pictures, on their way to the table of posts."""

from m3h.pipeline.checks.rules import broken_rules
from m3h.pipeline.cleaning.image_rules import insensitive
from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages.coders import PostCoder
from m3h.pipeline.text.pii import masked_post
from m3h.pipeline.text.tokenizer import tokenizer_of
from m3h.schemas.posts import Dropped, ImageRef, Post, post_row

POST = Post(
    "1", "so many boats today #tide", ("tide",), (ImageRef("a.jpg", alt="Boats of @bob, 3 of them. #tide"),),
    lang="en", tokens=("so", "many", "boats", "today"), image_sha256="aa",
)  # fmt: skip


def test_a_marked_picture_goes_and_verify_notices_one_that_stayed() -> None:
    marked, rules = POST.having(sensitive=True), CleanRules(min_hashtag_count=1, drop_sensitive=True)
    assert insensitive(POST) == POST
    assert insensitive(marked) == Dropped.of(marked, "image", "sensitive")
    assert [*broken_rules([POST], rules)] == []
    (breach,) = broken_rules([marked], rules)
    assert "clean.drop_sensitive" in breach
    assert [*broken_rules([marked], CleanRules(min_hashtag_count=1))] == []


def test_a_description_is_tokenised_as_the_text_is_and_masked() -> None:
    read = tokenizer_of(TextRules()).read(POST)
    assert read.alt_tokens == ("boats", "of", "<mention>", "<number>", "of", "them")  # the last hashtag is cut
    row = post_row(masked_post(read))
    assert row["alt"] == "Boats of <mention>, 3 of them. #tide"
    assert row["alt_tokens"] == [*read.alt_tokens]
    assert tokenizer_of(TextRules()).read(POST.having(images=())).alt_tokens == ()


def test_both_cross_a_shuffle() -> None:
    post = POST.having(sensitive=True, alt_tokens=("boats",))
    assert PostCoder().decode(PostCoder().encode(post)) == post
