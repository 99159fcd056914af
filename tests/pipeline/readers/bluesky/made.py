"""Bluesky records, events and answers after the official lexicons; names, texts and pictures are invented."""

import hashlib
import io
from typing import Any

DID = "did:plc:abcdefghijklmnopqrstuvwx"
OTHER = "did:plc:bcdefghijklmnopqrstuvwxy"
KEY = "3kxyz2abcde2f"
URI = f"at://{DID}/app.bsky.feed.post/{KEY}"
CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
CDN = f"https://cdn.bsky.app/img/feed_fullsize/plain/{DID}/{CID}@jpeg"
TEXT = "Ébauche of the old harbour 🌊 #LowTide"
ALT = "Three boats lie on the sand."

Json = dict[str, Any]


def place(text: str, part: str) -> Json:
    """Where a part of a text stands, in bytes."""
    start = len(text.partition(part)[0].encode())
    return {"byteStart": start, "byteEnd": start + len(part.encode())}


def facet(text: str, part: str, kind: str, **value: str) -> Json:
    """A mark on a part of a text."""
    return {"index": place(text, part), "features": [{"$type": f"app.bsky.richtext.facet#{kind}", **value}]}


def picture(cid: str = CID, alt: str = ALT) -> Json:
    """A picture as a record has it."""
    blob = {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg", "size": 5}
    return {"alt": alt, "image": blob, "aspectRatio": {"width": 4, "height": 3}}


def images(*pictures: Json) -> Json:
    """An embed of pictures."""
    return {"$type": "app.bsky.embed.images", "images": list(pictures)}


def record(text: str = TEXT, **fields: Any) -> Json:
    """A post with one picture and one marked hashtag."""
    marks = [facet(text, "#LowTide", "tag", tag="LowTide")] if "#LowTide" in text else []
    made = {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2024-11-21T16:09:27.095Z", "langs": ["en"]}
    return {**made, "facets": marks, "embed": images(picture()), **fields}


def event(operation: str = "create", made: Json | None = None, **fields: Any) -> Json:
    """A line of Jetstream."""
    commit: Json = {"rev": "3l", "operation": operation, "collection": "app.bsky.feed.post", "rkey": KEY}
    if operation != "delete":
        commit |= {"record": made or record(), "cid": "bafyreiaaaa"}
    return {"did": DID, "time_us": 1732205367095000, "kind": "commit", "commit": commit, **fields}


def view(made: Json | None = None, uri: str = URI, **fields: Any) -> Json:
    """A post as the API shows it."""
    shown = {"thumb": CDN.replace("fullsize", "thumbnail"), "fullsize": CDN, "alt": ALT}
    return {
        "uri": uri, "cid": "bafyreiaaaa", "author": {"did": DID, "handle": "harbour-fan.example.com", "labels": []},
        "record": made or record(), "embed": {"$type": "app.bsky.embed.images#view", "images": [shown]},
        "likeCount": 1, "indexedAt": "2024-11-21T16:09:28.000Z", "labels": [], **fields,
    }  # fmt: skip


def block(data: bytes) -> tuple[bytes, bytes]:
    """The CID of a block, and the block with it."""
    cid = b"\x01\x71\x12\x20" + hashlib.sha256(data).digest()
    return cid, cid + data


def length(size: int) -> bytes:
    """A number as LEB128."""
    out = bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


def car(records: dict[str, Json], did: str = DID) -> bytes:
    """A repository export: header, records, one node of the tree, the commit."""
    import libipld

    cids, blocks, entries, before = {}, [], [], b""
    for key, value in records.items():
        cids[key], whole = block(libipld.encode_dag_cbor(_linked(value)))
        blocks.append(whole)
    for key in sorted(records):
        name = key.encode()
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, name, strict=False)) if a != b), min(len(before), len(name))
        )
        entries.append({"p": shared, "k": name[shared:], "v": cids[key], "t": None})
        before = name
    root, node = block(libipld.encode_dag_cbor({"l": None, "e": entries}))
    commit = {"did": did, "version": 3, "data": root, "rev": "3l", "prev": None, "sig": b"0123"}
    head, whole = block(libipld.encode_dag_cbor(commit))
    header = libipld.encode_dag_cbor({"roots": [head], "version": 1})
    out = io.BytesIO()
    for part in (header, *blocks, node, whole):
        out.write(length(len(part)) + part)
    return out.getvalue()


def _linked(value: Any) -> Any:
    """Links as CIDs, as a repository holds them."""
    import libipld

    if isinstance(value, dict) and set(value) == {"$link"}:
        return b"\x01\x55\x12\x20" + libipld.decode_cid(value["$link"])["hash"]["digest"]
    if isinstance(value, dict):
        return {name: _linked(item) for name, item in value.items()}
    return [_linked(item) for item in value] if isinstance(value, list) else value
