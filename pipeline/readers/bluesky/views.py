"""Reads what Bluesky's API answers: pages of feeds, searches and threads, and single posts of them."""

from collections.abc import Iterator

from m3h.pipeline.readers.bluesky import rows
from m3h.pipeline.readers.bluesky.record import NOT_FOR_STRANGERS, label_values, read_post
from m3h.pipeline.readers.record import JsonObject, RecordFault, as_dict, dicts, text_field
from m3h.pipeline.text.post_addresses import id_of_address
from m3h.schemas.posts import Post

_LISTS = ("feed", "posts", "records")
"""Lists of a page: of feeds and timelines; of searches, quotes and posts by their URIs; of a repository."""
PAGE_MARKS = frozenset(("thread", *_LISTS))
ONE_MARKS = frozenset(("post", "uri"))
_UNAVAILABLE = {"notFound": "not found", "blocked": "blocked", "detached": "detached"}
_REPOST = "app.bsky.feed.defs#reasonRepost"


def is_page(record: JsonObject) -> bool:
    """Whether a JSON object is an answer that holds posts, or an empty one with a cursor."""
    if is_thread(record):
        return True
    lists = [listed for name in _LISTS if isinstance(listed := record.get(name), list)]
    if len(lists) != 1:
        return False
    return any(is_one(item) for item in dicts(lists[0])) or (
        not lists[0] and set(record) <= {*_LISTS, "cursor", "hitsTotal"}
    )


def is_thread(record: JsonObject) -> bool:
    """Whether a JSON object is a post with those before and after it."""
    return is_one(as_dict(record.get("thread")))


def posts_of(page: JsonObject) -> list[object]:
    """The posts of a page. Posts that they answer or quote are only references; those of a thread are its posts.

    RecordFault `notice` for a page without posts.
    """
    if is_thread(page):
        return list(_in_thread(as_dict(page["thread"])))
    listed = next(listed for name in _LISTS if isinstance(listed := page.get(name), list))
    if not listed:
        raise RecordFault("notice", "a page without posts")
    return list(listed)


def _in_thread(thread: JsonObject) -> Iterator[object]:
    """Every post of a thread, in order. A thread may be deeper than Python can recurse, so it keeps its own stack."""
    before: list[JsonObject] = []
    node = as_dict(thread.get("parent"))
    while node:
        before.append(node)
        node = as_dict(node.get("parent"))
    yield from reversed(before)
    stack = [thread]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(dicts(node.get("replies"))))


def is_one(record: JsonObject) -> bool:
    """Whether a JSON object is one post of an answer: an item of a feed, a post, or what stands for a missing one."""
    post = as_dict(record.get("post")) or record
    return _is_view(post) or _is_missing(post) or rows.is_row(record)


def _is_view(record: JsonObject) -> bool:
    return rows.has_address(record) and isinstance(record.get("record"), dict) and "author" in record


def _is_missing(record: JsonObject) -> bool:
    return rows.has_address(record) and any(record.get(name) is True for name in _UNAVAILABLE)


def read_one(record: JsonObject) -> Post:
    """One post of an answer. An item that is in a feed because somebody reposted it is marked as a repost.

    RecordFault `unavailable` where a post is missing, `not_public` where its author asks not to be shown to strangers.
    """
    post = as_dict(record.get("post")) or record
    if missing := [found for name, found in _UNAVAILABLE.items() if post.get(name) is True]:
        raise RecordFault("unavailable", missing[0])
    if not _is_view(post):
        return rows.read_row(post)
    author = as_dict(post.get("author"))
    if NOT_FOR_STRANGERS in label_values(author.get("labels")):
        raise RecordFault("not_public", "its author asks not to be shown to people who are not logged in")
    reason = as_dict(record.get("reason"))
    read = read_post(
        as_dict(post["record"]),
        text_field(post, "uri"),
        labels=[*label_values(post.get("labels")), *label_values(author.get("labels"))],
        shown=as_dict(post.get("embed")),
    )
    return read.having(is_repost=reason.get("$type") == _REPOST)


def id_of(record: JsonObject) -> str:
    """The id of one post of an answer; "" where its URI is that of no post."""
    return id_of_address(str(as_dict(record.get("post")).get("uri") or record.get("uri")))
