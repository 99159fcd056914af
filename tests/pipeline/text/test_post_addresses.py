"""Addresses of posts that name their author become ids that do not."""

import pytest

from m3h.pipeline.records.ids import read_ids
from m3h.pipeline.text.pii import mask, stored_id, stored_path, stored_url
from m3h.schemas.errors import UsageError

DID = "did:plc:abcdefghijklmnopqrstuvwx"
BLUESKY = f"at://{DID}/app.bsky.feed.post/3kxyz2abcde2f"
NUMBER = "113500000000000001"
MASTODON = f"https://town.example/users/harbour_fan/statuses/{NUMBER}"
SAME = {
    BLUESKY: (f"https://bsky.app/profile/{DID}/post/3kxyz2abcde2f",),
    MASTODON: (
        f"{MASTODON}/activity",
        f"https://town.example/@harbour_fan/{NUMBER}",
        f"https://Town.example/ap/users/115000/statuses/{NUMBER}",
    ),
}


@pytest.mark.parametrize("address", SAME)
def test_all_addresses_of_a_post_give_one_id(address: str) -> None:
    (found,) = {stored_id(one) for one in (address, *SAME[address])}
    assert stored_id(found) == found
    assert mask(found) == found
    assert "harbour" not in found
    assert "abcdefghij" not in found


@pytest.mark.parametrize("number", ["00442079460958", "1" * 200, "٣" * 12, "0"])
def test_the_id_of_an_address_stays_as_it_is(number: str) -> None:
    found = stored_id(f"https://town.example/@harbour_fan/{number}")
    assert stored_id(found) == found
    assert mask(found) == found


def test_posts_of_two_servers_and_accounts_differ() -> None:
    assert stored_id(MASTODON) != stored_id(MASTODON.replace("town", "city"))
    assert stored_id(BLUESKY) != stored_id(BLUESKY.replace("xyz", "xyy"))
    assert stored_id(MASTODON) != stored_id(f"{MASTODON}#updates/1")
    named = "https://town.example/users/{}/statuses/a-walk"  # a server whose keys are unique only for an account
    assert stored_id(named.format("anna")) != stored_id(named.format("bert"))


@pytest.mark.parametrize(
    "address",
    [
        "https://town.example/users/harbour_fan#likes/1",
        "https://town.example/profile/harbour_fan/a/b?c=1",
        "https://town.example/@harbour_fan/a-walk",
        "https://town.example/p/harbour_fan/12",
    ],
)
def test_whatever_the_address_it_names_nobody(address: str) -> None:
    assert "harbour" not in stored_id(address)
    assert stored_id(stored_id(address)) == stored_id(address)


@pytest.mark.parametrize("record_id", ["1084067481769032701", "https://misskey.example/notes/9abc", "a/b", "at"])
def test_other_ids_stay(record_id: str) -> None:
    assert stored_id(record_id) == record_id


def test_accounts_of_the_at_protocol_are_masked() -> None:
    assert mask(f"by {DID}, did:web:fan.example.com") == "by <mention>, <mention>"
    assert mask("see at://fan.example.art/app.bsky.feed.post/3k") == "see at://<mention>/app.bsky.feed.post/3k"
    assert mask("did: 12 at: noon") == "did: 12 at: noon"
    assert stored_path(f"{DID}/bafkrei") == "<mention>/bafkrei"
    url = stored_url(f"https://cdn.bsky.app/img/feed_fullsize/plain/{DID}/bafkrei@jpeg")
    assert url.startswith("https://cdn.bsky.app/img/feed_fullsize/plain/<mention>/bafkrei@jpeg#")


def test_forget_takes_addresses() -> None:
    lines = f"{BLUESKY}\n{MASTODON}\n12\n"
    assert read_ids(lines, "ids.txt") == [BLUESKY, MASTODON, "12"]
    assert read_ids(f"uri,likes\n{BLUESKY},3\n", "ids.csv") == [BLUESKY]


@pytest.mark.parametrize(
    "text",
    [
        "1\nhttps://bsky.app/profile/fan.example.com/post/3kxyz2abcde2f\n",
        "uri\nat://fan.example.com/app.bsky.feed.post/3kxyz2abcde2f\n",
        '{"uri": "1"}\n{"uri": "at://fan.example.com/app.bsky.feed.post/3kxyz2abcde2f"}\n',
    ],
)
def test_an_address_by_a_name_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(UsageError, match=r"line 2: this address names the account by its handle.*DID"):
        read_ids(text, "ids")
