"""Ids of posts whose address names their author, at Bluesky (the AT protocol) and Mastodon (ActivityPub).

Such an address is all that these networks identify a post by. It leads to the author's account, so it is never stored.
The id that is stored instead is made of the part that names only the post, and of a digest of the whole address:
`3lbhtyteurk2y-…`, `113500000000000001-…`. All ways to write a post's address give the same id.
"""

import hashlib

import regex

POST_COLLECTION = "app.bsky.feed.post"
"""The collection that holds the posts of a Bluesky account."""

_DID = r"did:(?:plc:[a-z2-7]{24}|web:[\w.%:\-]+)"
ACCOUNT_NAMES = regex.compile(rf"\b{_DID}|(?<=\bat://)[^\s/<>\"']+", regex.IGNORECASE)
"""What the AT protocol names an account by: its DID, and what stands first in an `at://` address."""

_AT_POST = regex.compile(
    rf"at://(?P<did>did:[a-z]+:[^/\s]+)/{regex.escape(POST_COLLECTION)}/(?P<key>[\w.~:\-]{{1,512}})"
)
_BSKY_PAGE = regex.compile(r"https?://bsky\.app/profile/(?P<account>[^/\s]+)/post/(?P<key>[\w.~:\-]{1,512})/?")
_ACTIVITYPUB = regex.compile(
    r"https?://(?P<host>[^/\s@]+)/(?:(?:ap/)?(?:users?|u|p|profiles?|channels?|accounts?)/[^/#?\s]+|@[^/@#?\s]+)(?P<rest>[/#?]\S+)",
    regex.IGNORECASE,
)
_OF_POST = regex.compile(
    r"/(?:(?:statuses|posts|notes|objects|p)/)?(?P<key>[\w\-]{1,200})(?:/activity)?/?", regex.IGNORECASE
)
_TID = regex.compile(r"[2-7a-j][2-7a-z]{12}")
"""A timestamp as the AT protocol writes it. It orders posts by time, as numbers do."""
_UNIQUE = regex.compile(r"\d+|[0-9A-HJKMNP-TV-Z]{26}")
"""Numbers and ULIDs, which a server gives once. Any other last part of an address is unique only for its account."""
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def digest(text: str) -> str:
    """Twenty letters that stand for a text, and that no rule reads as a number."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20].translate(_LETTERS)


def post_address(did: str, key: str) -> str:
    """The `at://` address of a Bluesky post."""
    return f"at://{did}/{POST_COLLECTION}/{key}"


def id_of_address(address: str) -> str:
    """The id of the post at an address, as it is stored; "" where this is no address of a post that names an account.

    Addresses are an `at://` URI, a page of bsky.app that names the account by its DID, and an id or a page of a server
    of ActivityPub, such as `https://HOST/users/NAME/statuses/1` and `https://HOST/@NAME/1`.
    """
    if page := _BSKY_PAGE.fullmatch(address):
        address = post_address(page["account"], page["key"])
    if post := _AT_POST.fullmatch(address):
        return _id(post["key"] if _TID.fullmatch(post["key"]) else "", address)
    if named := _ACTIVITYPUB.fullmatch(address):
        host, post = named["host"].lower(), _OF_POST.fullmatch(named["rest"])
        key = post["key"] if post and _UNIQUE.fullmatch(post["key"]) else ""
        return _id(key, f"{host}/{key}" if key else address.partition("://")[2])
    return ""


def _id(key: str, named: str) -> str:
    return f"{key or 'id'}-{digest(named)}"


def needs_did(address: str) -> bool:
    """Whether an address is that of a Bluesky post by its author's name, which can change, instead of the DID."""
    page = _BSKY_PAGE.fullmatch(address)
    named = page["account"] if page else address.removeprefix("at://").partition("/")[0]
    return (page is not None or address.startswith("at://")) and not named.startswith("did:")
