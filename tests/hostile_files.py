"""Files made to harm, each with the command that meets it: the table that docs/untrusted.md shows to people."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from m3h.schemas.files import publish_json, read_json
from m3h.schemas.posts import POST_SCHEMA

DEEP = "[" * 200_000
DIGITS = "9" * 5000
ZEROS = bytes(1 << 20)
FAR = 1 << 40

SIZES = ["word_width=8", "width=16", "heads=2", "head_width=4", "batch_size=8", "threads=1", "warmup_epochs=1"]
TRAIN = ["model", "train", "--dataset", "{dataset}", "--system", "gen-cls-m3h", "--epochs", "1", "--out", "{new}"]
TRAIN += ["--set", *SIZES]
PREDICT = ["model", "predict", "{run}", "--text", "so excited for new music"]
BUILD = ["pipeline", "build", "--dumps", "{dump}", "--images", "{images}", "--dataset", "{new}", "--workers", "1"]
PLAIN = [*BUILD, "--features", "none"]
AGAIN = [*PLAIN[:7], "{dataset}", *PLAIN[8:]]
DUMP = [*PLAIN[:3], "{file}", *PLAIN[4:]]
WEIGHTS = ["pipeline", "weights", "add", "hostile", "{file}"]
CAPTIONS = [
    "pipeline",
    "train-attributes",
    "--captions",
    "{file}",
    "--images",
    "{images}",
    "--out",
    "{new}.safetensors",
]


@dataclass(frozen=True)
class World:
    """What a case may change: all of it a copy. mark: a file that nothing may make; outside: one that must stay."""

    dataset: Path
    run: Path
    mark: Path
    outside: Path


@dataclass(frozen=True)
class Hostile:
    """what: as the page says it. file: below the world's folder. make: puts it there.

    said: in the error line, or printed where the file is read.
    """

    what: str
    file: str
    make: Callable[[Path, World], None]
    command: Sequence[str]
    said: str
    code: int


class _Runs:
    """Pickles as a call."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def text(content: str) -> Callable[[Path, World], None]:
    return lambda path, _: path.write_text(content, encoding="utf-8") and None


def data(content: bytes) -> Callable[[Path, World], None]:
    return lambda path, _: path.write_bytes(content) and None


def changed(**fields: object) -> Callable[[Path, World], None]:
    """A JSON object with other values."""
    return lambda path, _: publish_json(path, {**read_json(path), **fields})


def table(**columns: object) -> Callable[[Path, World], None]:
    return lambda path, _: pq.write_table(pa.table(columns), path)


def one_long_text(path: Path, _: World) -> None:
    """A few kilobytes that hold 2,000 times the same megabyte of text."""
    rows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2000, np.int32)), pa.array(["x" * (1 << 20)]))
    columns = {field.name: pa.nulls(2000, field.type) for field in POST_SCHEMA}
    pq.write_table(pa.table({**columns, "text": rows}), path, compression="zstd", store_schema=False)


def hdf5(change: Callable[[h5py.File, World], object]) -> Callable[[Path, World], None]:
    """A shard whose array `features` something else stands for."""

    def make(path: Path, world: World) -> None:
        with h5py.File(path, "r+") as file:
            del file["features"]
            change(file, world)

    return make


def virtual(file: h5py.File, world: World) -> None:
    layout = h5py.VirtualLayout((len(file["image_sha256"]), 49, 512), "float16")
    layout[:] = h5py.VirtualSource(str(world.outside), "features", layout.shape)
    file.create_virtual_dataset("features", layout)


def in_another_file(file: h5py.File, world: World) -> None:
    rows = len(file["image_sha256"])
    file.create_dataset("features", (rows,), "uint8", external=[(str(world.outside), 0, rows)])


def link_out(file: h5py.File, world: World) -> None:
    file["features"] = h5py.ExternalLink(str(world.outside), "x")


def far(file: h5py.File, chunks: bool | None = None) -> None:
    file.create_dataset("features", (rows_of(file), FAR), "float16", chunks=chunks)


def objects(file: h5py.File, _: World) -> None:
    file.create_dataset("features", (rows_of(file),), h5py.string_dtype())


def more_rows(file: h5py.File, _: World) -> None:
    file.create_dataset("features", data=np.zeros((9, 49, 512), "float16"))


def soft(path: Path, _: World) -> None:
    with h5py.File(path, "r+") as file:
        file.move("features", "hidden")
        file["features"] = h5py.SoftLink("/hidden")


def blown_up(file: h5py.File, _: World) -> None:
    rows = len(file["image_sha256"])
    array = file.create_dataset("features", (rows, FAR), "uint8", chunks=(1, 1 << 30), compression="gzip")
    array.id.write_direct_chunk((0, 0), b"few bytes")


def tensors(header: object, body: bytes = b"") -> Callable[[Path, World], None]:
    """A safetensors file with any header."""
    told = json.dumps(header).encode()
    return data(len(told).to_bytes(8, "little") + told + body)


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def pickled(path: Path, world: World) -> None:
    path.write_bytes(pickle.dumps({"weight": _Runs(world.mark)}, protocol=2))


def pickled_by_torch(path: Path, world: World) -> None:
    torch.save({"weight": _Runs(world.mark)}, path)


def zipped(path: Path, _: World) -> None:
    """What torch writes, its numbers a gigabyte of packed zeros."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(4)}, buffer)
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name in whole.namelist():
            if not name.endswith("/data/0"):
                packed.writestr(name, whole.read(name))
                continue
            with packed.open(name, "w", force_zip64=True) as file:
                for _i in range(1 << 10):
                    file.write(ZEROS)


def line_of_gigabytes(path: Path, _: World) -> None:
    """1 GB without a line end, in a megabyte."""
    path.write_bytes(gzip.compress(ZEROS * 16, compresslevel=1) * 64)


def archive(path: Path, world: World) -> None:
    """Names that lead out, links and devices, between two records."""
    good = b'{"id": 1, "text": "a day out by the sea #fun", "image": "p0.jpg", "lang": "en"}\n'
    with tarfile.open(path, "w") as tar:
        for name in (f"../../{world.mark.name}.jsonl", str(world.mark), "fine.jsonl"):
            member = tarfile.TarInfo(name)
            member.size = len(good)
            tar.addfile(member, io.BytesIO(good))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("link.jsonl")
            member.type, member.linkname = kind, str(world.outside)
            tar.addfile(member)


def device(path: Path, _: World) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def leaving(path: Path, world: World) -> None:
    path.parent.mkdir()
    publish_json(path, [os.path.relpath(world.outside, world.dataset)])


def checkpoint(path: Path, world: World) -> None:
    (world.run / "scores.json").unlink()
    path.parent.mkdir()
    name = os.path.relpath(world.outside, path.parent)
    publish_json(path, {"numbers": {}, "step": name, "files": {name: "0" * 64}})


def letters(path: Path, _: World) -> None:
    path.mkdir()
    (path / "counts_1grams.txt").write_text(f"the\t{DIGITS}\n")
    (path / "counts_2grams.txt").write_text("of the\t1\n")


def head(path: Path, _: World) -> None:
    (path.parent / "h.vocabulary.json").write_text("[]")
    tensors({"__metadata__": {"head": "[1]"}})(path, _)


def rows_of(file: h5py.File) -> int:
    return len(file["image_sha256"])


def other_numbers(shape: tuple[int, ...]) -> Callable[[Path, World], None]:
    return hdf5(lambda f, _: f.create_dataset("features", data=np.zeros((rows_of(f), *shape), "float16")))


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
OVER = tensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12))
LARGER = tensors({"a": entry([FAR], 0, 8)}, bytes(8))
HUGE_HEADER = data(FAR.to_bytes(8, "little") + b"{}")
RUN_CODE = "clean: !!python/object/apply:os.system ['touch mark']"
OUTSIDE_PICTURE = '{"images": [{"id": 1, "file_name": "../../etc/x.jpg"}], "annotations": []}'
NO_PLAIN = "is no plain array of numbers that lies in this file"
NO_JSON = "not readable as JSON"
NO_RUN = "not what m3h writes"
NO_YAML = "not readable as YAML"
NO_WEIGHTS = "not this run's weights"
NO_TENSORS = "not readable as tensors"
NO_CAPTIONS = "expected COCO's captions as JSON"

FINGERPRINT = "0123456789abcdef"
CONFIG = [*PLAIN, "--config", "{file}"]
EVALUATE = ["model", "evaluate", "{run}", "--dataset", "{dataset}"]
GC = ["pipeline", "gc", "--dataset", "{dataset}"]
HEAD = [*BUILD, "--features", "attributes", "--set", "features.attributes.weights=random"]
HEAD += ["features.attributes.head={file}"]
RESUME = [*TRAIN[: -len(SIZES) - 2], "{run}", "--set", *SIZES]
SCORE = ["model", "score", "--predictions", "{file}"]
TRAIN_CONFIG = [*TRAIN[: -len(SIZES) - 1], "--config", "{file}"]
VECTORS = [*TRAIN, "embeddings={file}"]

Case = tuple[str, Callable[[Path, World], None], str]


def of(kind: str, file: str, command: Sequence[str], code: int, *cases: Case) -> list[Hostile]:
    """Cases of one kind of file."""
    return [Hostile(f"{kind}: {what}", file, make, command, said, code) for what, make, said in cases]


TABLE = [
    *of(
        *("manifest", "dataset/manifest.json", TRAIN, 1),
        ("brackets within brackets", text(DEEP), NO_JSON),
        ("a number of 5,000 digits", text(f"[{DIGITS}]"), NO_JSON),
        ("NaN", text('{"schema_version": NaN}'), "NaN is no JSON"),
    ),
    *of(
        *("posts", "dataset/posts/part-00000.parquet", TRAIN, 1),
        ("no Parquet", data(b"PAR1 nothing PAR1"), "not a readable Parquet file"),
        ("kilobytes that become gigabytes", one_long_text, "no dataset of ours"),
        ("other columns", table(post_id=[1]), "expected columns"),
    ),
    *of(
        *("words in pictures", f"dataset/features/ocr/{FINGERPRINT}/shard-00000-of-00001.parquet", TRAIN, 1),
        ("other columns", table(image_sha256=["a"], words=[1]), "it has no column tokens"),
    ),
    *of(
        *("shard", f"dataset/features/vgg_grid/{FINGERPRINT}/shard-00000-of-00001.h5", TRAIN, 1),
        ("no HDF5", data(b"\x89HDF nothing"), "not a readable feature shard"),
        ("a link to another file", hdf5(link_out), "features is a ExternalLink"),
        ("a link within it", soft, "features is a SoftLink"),
        ("an array that lies in another file", hdf5(in_another_file), NO_PLAIN),
        ("a virtual array, out of another file", hdf5(virtual), NO_PLAIN),
        ("a shape of terabytes, in pieces, none there", hdf5(lambda f, _: far(f, chunks=True)), NO_PLAIN),
        ("a shape of terabytes, in one piece, not there", hdf5(lambda f, _: far(f)), NO_PLAIN),
        ("a filter that blows up", hdf5(blown_up), NO_PLAIN),
        ("objects instead of numbers", hdf5(objects), NO_PLAIN),
        ("a group instead of an array", hdf5(lambda f, _: f.create_group("features")), NO_PLAIN),
        ("more rows than keys", hdf5(more_rows), "has the shape (9, 49, 512)"),
        ("no array of that name", hdf5(lambda *_: None), "found none"),
        ("numbers of another shape", other_numbers((2, 3, 4)), "expected features of (images, cells, width)"),
        ("a device without an end", device, "found a link"),
    ),
    *of(
        *("working state", "dataset/.build/leaving.json", GC, 1),
        ("a file outside, to be removed", leaving, "which lies outside the dataset"),
    ),
    *of("noted dumps", "dataset/.build.json", AGAIN, 1, ("no JSON", text('{"dumps":'), NO_JSON)),
    *of(
        *("run, config.json", "run/config.json", PREDICT, 2),
        ("brackets within brackets", text(DEEP), NO_YAML),
        ("an unknown field", changed(code="os.system"), "no field 'code'"),
    ),
    *of(
        *("run, config.json", "run/config.json", PREDICT, 1),
        ("a model of terabytes", changed(width=1 << 22, head_width=1 << 20), "config.json (attributes"),
    ),
    *of(
        *("run, run.json", "run/run.json", PREDICT, 1),
        ("other types", changed(features=5, inputs="all"), NO_RUN),
        ("a list", text("[]"), NO_RUN),
    ),
    *of(
        *("run, words.json", "run/words.json", PREDICT, 1),
        ("no words", text('{"<unk>": 1}'), "expected a JSON list of strings"),
    ),
    *of(
        *("run, weights", "run/model.safetensors", PREDICT, 1),
        ("a pickle that runs a program", pickled_by_torch, NO_WEIGHTS),
        ("a header of terabytes", HUGE_HEADER, NO_WEIGHTS),
        ("tensors over one another", OVER, NO_WEIGHTS),
        ("a shape larger than its bytes", LARGER, NO_WEIGHTS),
    ),
    *of("run, reranker.json", "run/reranker.json", PREDICT, 1, ("a list", text("[1, 2]"), NO_RUN)),
    *of("run, keyphrases.json", "run/keyphrases.json", EVALUATE, 1, ("a list", text("[1, 2]"), NO_RUN)),
    *of(
        *("run, checkpoint", "run/checkpoint/state.json", RESUME, 1),
        ("a file outside", checkpoint, "it names other files than a run has"),
    ),
    *of(
        *("configuration", "build.yaml", CONFIG, 2),
        ("ten lines of aliases", text(LAUGHS), "an alias, *a"),
        ("a Python tag", text(RUN_CODE), NO_YAML),
        ("brackets within brackets", text(DEEP), NO_YAML),
        ("megabytes", text("#" * (2 << 20)), "longer than"),
    ),
    *of("configuration of a training", "t.yaml", TRAIN_CONFIG, 2, ("a Python tag", text(RUN_CODE), NO_YAML)),
    *of(
        *("weights, .pth", "w.pth", WEIGHTS, 2),
        ("a pickle that runs a program", pickled_by_torch, "Nothing in it was run"),
        ("megabytes that become gigabytes", zipped, "found compressed ones"),
    ),
    *of("weights, .pkl", "w.pkl", WEIGHTS, 2, ("a pickle that runs a program", pickled, "Nothing was run")),
    *of(
        *("weights, .safetensors", "w.safetensors", WEIGHTS, 2),
        ("a header of terabytes", HUGE_HEADER, NO_TENSORS),
        ("tensors over one another", OVER, NO_TENSORS),
    ),
    *of("attribute head", "h.safetensors", HEAD, 2, ("other metadata", head, "expected metadata of the layout")),
    *of(
        *("captions", "c.json", CAPTIONS, 2),
        ("brackets within brackets", text(DEEP), NO_CAPTIONS),
        ("a number of 5,000 digits", text(f'{{"images": [{DIGITS}]}}'), NO_CAPTIONS),
        ("a picture outside", text(OUTSIDE_PICTURE), "within the folder of pictures"),
    ),
    *of("word vectors, .gz", "v.txt.gz", VECTORS, 2, ("one line of gigabytes", line_of_gigabytes, "longer than")),
    *of(
        *("word vectors", "v.txt", VECTORS, 2),
        ("NaN", text("music" + " nan" * 8 + "\n"), "is not finite"),
        ("no text", data(b"\xff\xfe\x00 1 2"), "line 1"),
    ),
    *of(
        *("predictions", "p.jsonl", SCORE, 2),
        ("brackets within brackets", text(DEEP), "line 1"),
        ("a number of 5,000 digits", text(f'{{"keyphrases": [{DIGITS}], "predictions": []}}'), "line 1"),
    ),
    *of(
        *("hashtag mapping", "map.tsv", [*PLAIN, "--set", "text.hashtag_map={file}"], 2),
        ("no text", data(b"\xff\xfe\x00"), "codec can't decode"),
    ),
    *of(
        *("word statistics", "words", [*PLAIN, "--set", "text.word_statistics={file}"], 2),
        ("a number of 5,000 digits", letters, "counts_1grams.txt, line 1"),
    ),
    *of(
        "dump",
        "d.tar",
        DUMP,
        1,
        ("a tar that leads out, with links and devices", archive, "4 of 7 records are no posts"),
    ),
    *of("dump", "d.jsonl.gz", DUMP, 2, ("one line of gigabytes", line_of_gigabytes, "of no kind that is known here")),
]
