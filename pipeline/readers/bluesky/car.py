"""Reads repository exports (CAR files): all records of one Bluesky account, of which the posts are read.

A CAR file is a header and blocks, each with its length and its CID before it. The blocks of a repository are the
commit, which names the account; the nodes of a tree, which name records by collection and key; and the records. They
come in any order, so the posts of the account are held until the file ends. A post is then given on as the JSON that
the API lists it as, `{"uri", "cid", "value"}`, in the order of the keys.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from m3h.pipeline.readers.framing import Piece
from m3h.pipeline.readers.record import JsonObject, RecordFault, as_dict, dicts
from m3h.pipeline.readers.streams import FILE_ERRORS, Unreadable
from m3h.pipeline.text.post_addresses import POST_COLLECTION, post_address

_HEADER = re.compile(rb"[\x01-\xff][\x00-\x7f]?\xa2e(?:roots|version)", re.DOTALL)
_CID = b"\x01\x71\x12\x20"
"""How the CID of a block begins: version 1, DAG-CBOR, and a sha256 of 32 bytes, which follows."""
_CID_BYTES = len(_CID) + 32
_MORE = 0x80
"""In a length: the bit that says that another byte follows."""
_PREFIX = f"{POST_COLLECTION}/".encode()


def is_car(stream: io.BufferedReader) -> bool:
    """Whether a stream is a CAR file, by the beginning of its header."""
    return _HEADER.match(stream.peek(16)[:16]) is not None


def posts_of(stream: io.BufferedReader, limit: int) -> Iterator[Piece]:
    """The posts of a repository, as pieces of JSON. If the file is cut off, those that it still names come first.

    Args:
        stream: the file.
        limit: the most bytes of a block, and of a post.

    Raises:
        Unreadable, EOFError: the file is damaged, cut off, or no repository.
    """
    repository = _Repository()
    fault: Exception | None = None
    try:
        _block(stream, limit)
        while block := _block(stream, limit):
            repository.add(block)
    except FILE_ERRORS as error:
        fault = error
    yield from repository.posts(limit)
    if fault or not repository.did:
        raise fault or Unreadable("a CAR file without the commit of a Bluesky repository")


def _block(stream: io.BufferedReader, limit: int) -> bytes:
    """The next block with its CID, or b"" at the end of the file."""
    size = _length(stream)
    if size > limit:
        raise Unreadable(f"a block of {size} bytes, at most {limit} (read.max_line_bytes)")
    if len(block := stream.read(size)) < size:
        raise EOFError("the last block is cut off")
    return block


def _length(stream: io.BufferedReader) -> int:
    """A number as LEB128, at most nine bytes long; 0 at the end of the file."""
    size = 0
    for place in range(9):
        if not (byte := stream.read(1)):
            if place:
                raise EOFError("the last block is cut off")
            return 0
        size |= (byte[0] & ~_MORE) << 7 * place
        if not byte[0] & _MORE:
            return size
    raise Unreadable("the length of a block is no number")


class _Repository:
    """What the blocks so far tell. did: of the account, or "". keys and values are found by the CID of the record."""

    def __init__(self) -> None:
        self.did = ""
        self._keys: dict[bytes, str] = {}
        self._values: dict[bytes, str | RecordFault] = {}

    def add(self, block: bytes) -> None:
        """Read one block. Unreadable where it is not what its CID says."""
        cid, data = block[:_CID_BYTES], block[_CID_BYTES:]
        if not cid.startswith(_CID):
            return
        if hashlib.sha256(data).digest() != cid[len(_CID) :]:
            raise Unreadable("a block is not what its hash says")
        value = _decoded(data)
        if isinstance(value, RecordFault) or value.get("$type") == POST_COLLECTION:
            self._values[cid] = value if isinstance(value, RecordFault) else _json(value)
        elif isinstance(value.get("e"), list):
            self._add_node(value)
        elif "sig" in value and isinstance(did := value.get("did"), str):
            self.did = did

    def _add_node(self, node: JsonObject) -> None:
        """A node's entries: each has the part of its key that differs from the key before it."""
        key = b""
        for entry in dicts(node["e"]):
            shared, rest, record = entry.get("p"), entry.get("k"), entry.get("v")
            if not (isinstance(shared, int) and isinstance(rest, bytes) and isinstance(record, bytes)):
                raise Unreadable("a node of the repository's tree is damaged")
            key = key[:shared] + rest
            if key.startswith(_PREFIX):
                self._keys[record] = key.removeprefix(_PREFIX).decode("utf-8", "replace")

    def posts(self, limit: int) -> Iterator[Piece]:
        """The posts by their keys. A record that the tree does not name is no part of the repository any more."""
        import libipld

        named = sorted((key, cid) for cid, key in self._keys.items() if cid in self._values and self.did)
        for key, cid in named:
            uri, value = post_address(self.did, key), self._values[cid]
            if isinstance(value, RecordFault):
                yield Piece(b"", value)
                continue
            raw = f'{{"uri": {json.dumps(uri)}, "cid": "{libipld.encode_cid(cid)}", "value": {value}}}'.encode()
            yield Piece(raw[:limit], RecordFault("line_too_long", f"{len(raw)} bytes") if len(raw) > limit else None)


def _decoded(data: bytes) -> JsonObject | RecordFault:
    """The object of a block; {} for any other value. A fault where it is no DAG-CBOR."""
    import libipld

    try:
        return as_dict(libipld.decode_dag_cbor(data))
    except (ValueError, RecursionError) as error:
        return RecordFault("not_json", str(error))


def _json(value: JsonObject) -> str | RecordFault:
    """A record as JSON. A fault where it holds what JSON cannot say."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_link)
    except (TypeError, ValueError, RecursionError) as error:
        return RecordFault("not_json", str(error))


def _link(value: Any) -> object:
    """Bytes as the API writes them: a CID as a link. TypeError for anything else, which no post has."""
    import libipld

    if not isinstance(value, bytes):
        raise TypeError(f"a value of type {type(value).__name__}")
    return {"$link": libipld.encode_cid(value)}
