"""`weights`: what a user brings along is recognised, copied, named, used and checked."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50, vgg16

from m3h.pipeline.cli import main
from m3h.pipeline.extractors import weight_kinds
from m3h.pipeline.extractors.vgg_grid import VggGrid
from m3h.pipeline.extractors.weight_kinds import recognise
from m3h.pipeline.extractors.weights import find_file
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file
from tests.pipeline.extractors.butd.published import WRITERS, as_milvlg
from tests.pipeline.extractors.butd.tiny import TINY, tiny


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and a detector small enough to write down."""
    from m3h.pipeline.extractors.butd import network

    class Small(network.BottomUpAttention):
        def __init__(self) -> None:
            super().__init__(**TINY)

    monkeypatch.setattr(network, "BottomUpAttention", Small)
    monkeypatch.setenv("M3H_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    as_milvlg(dict(tiny().state_dict()), tmp_path / "k36.pth")
    return tmp_path / "k36.pth"


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    """Exit code, and the summary or the one line of error."""
    code = main(["weights", *map(str, words), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else printed.err.strip()


def test_an_added_file_is_named_listed_checked_used_and_removed(
    store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = sha256_file(file)
    code, added = answer(capsys, "add", "butd36", file, "--sha256", sha256.upper())
    assert (code, added["feature"], added["layout"], added["sha256"]) == (0, "butd_objects", "milvlg", sha256)
    file.unlink()  # it was copied
    assert answer(capsys, "list")[1]["weights"] == [
        {"name": "butd36", "feature": "butd_objects", "layout": "milvlg", "bytes": Path(added["path"]).stat().st_size,
         "sha256": sha256, "path": str(store / "butd36.pth")}
    ]  # fmt: skip
    assert answer(capsys, "check") == (0, {"ok": True, "checked": 1, "broken": {}})
    assert find_file("butd36") == store / "butd36.pth"
    assert answer(capsys, "remove", "butd36")[0] == 0
    assert answer(capsys, "list")[1]["weights"] == []
    assert not (store / "butd36.pth").exists()
    with pytest.raises(UsageError, match="a name given by `weights add`, there is no such file or name"):
        find_file("butd36")


def test_a_changed_or_missing_file_is_found_and_never_used(
    store: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "add", "a", file)
    answer(capsys, "add", "b", file)
    with open(store / "a.pth", "r+b") as changed:
        changed.seek(-1, 2)
        changed.write(b"\x01")
    (store / "b.pth").unlink()
    code, found = answer(capsys, "check")
    assert (code, found["ok"], found["broken"]["b"]) == (1, False, "missing")
    assert found["broken"]["a"].startswith(f"changed: expected sha256 {sha256_file(file)}, found ")
    with pytest.raises(UsageError, match="is not the file that was added, expected sha256"):
        find_file("a")


@pytest.mark.parametrize("layout", WRITERS)
def test_every_published_layout_is_recognised(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](dict(tiny().state_dict()), tmp_path / layout)
    assert recognise(tmp_path / layout).feature == "butd_objects"


def test_a_refused_file_is_reported_in_one_line_and_not_added(
    store: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = dict(tiny().state_dict())
    del tensors["roi_heads.box_predictor.fc_attr.weight"]
    save_file(tensors, tmp_path / "less.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    for words, expected in (
        (("add", "a", file, "--sha256", "0" * 64), f"expected sha256 {'0' * 64}, found {sha256_file(file)}"),
        (("add", "a", file, "--feature", "vgg_grid"), "expected features.0.weight of shape (64, 3, 3, 3), got nothing"),
        (("add", "a", file, "--feature", "vgg_gird"), "Did you mean 'vgg_grid'?"),
        (("add", "a", tmp_path / "less.safetensors"), "expected roi_heads.box_predictor.fc_attr.weight of"),
        (("add", "a", tmp_path / "other.safetensors"), "expected weights of bottom-up attention: Caffe's"),
        (("add", "a", tmp_path / "no.pth"), "no.pth: there is no such file"),
        (("add", "random", file), "expected a name of letters"),
        (("add", "../a", file), "expected a name of letters"),
        (("add", "a"), "expected `list`, `add NAME FILE`, `check` or `remove NAME`"),
        (("remove", "a"), "no such name. Added: none."),
        (("lst",), "Did you mean 'list'?"),
    ):  # fmt: skip
        code, said = answer(capsys, *words)
        assert (code, said.count("\n")) == (2, 0)
        assert said.startswith("error: ")
        assert expected in said, said
    assert not list(store.glob("*"))


def test_a_name_can_be_given_only_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "add", "a", file)[0] == 0
    code, said = answer(capsys, "add", "a", file)
    assert (code, "this name is in use" in said) == (2, True)


def test_a_file_wins_over_an_added_name(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["weights", "add", "a", str(file)]) == 0
    (tmp_path / "a").write_bytes(b"mine")
    assert find_file("a") == Path("a")


def empty(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The names and shapes of a network; its numbers take no room."""
    return {name: torch.empty(()).expand(tensor.shape) for name, tensor in network.state_dict().items()}


def test_files_of_torchvisions_networks_are_distinguished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        files = {"vgg.pth": empty(vgg16()), "resnet.pth": empty(resnet50())}
    monkeypatch.setattr(weight_kinds, "read_tensors", lambda path: files[path.name])
    for name in files:
        (tmp_path / name).touch()
    assert recognise(tmp_path / "vgg.pth") == (VggGrid.spec.name, "torchvision vgg16")
    assert recognise(tmp_path / "resnet.pth") == ("attributes", "torchvision resnet50")
    del files["resnet.pth"]["layer3.5.bn3.bias"]
    with pytest.raises(UsageError, match=r"expected layer2\.4\.conv1\.weight"):  # of ResNet-152, the paper's
        recognise(tmp_path / "resnet.pth")
