"""Weights fit their network to the letter, or are refused by name; only tensors are ever unpickled."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from m3h.pipeline.extractors.weights import identity, load_strictly, read_tensors, state_dict
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file


def network():
    return torch.nn.Linear(3, 2)


def tensors():
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, -1.0])}


def test_a_fitting_file_is_loaded_and_its_other_tensors_are_ignored():
    model = network()
    load_strictly(model, {**tensors(), "classifier.weight": torch.zeros(9)}, "w.pth")
    torch.testing.assert_close(dict(model.state_dict()), tensors())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"bias": torch.zeros(2)},
            "weights w.pth: expected weight of shape (2, 3), got nothing (1 missing, 0 of another shape). "
            "Is it a file for this network?",
        ),
        (
            {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
            "weights w.pth: expected weight of shape (2, 3), got (3, 2) (0 missing, 1 of another shape). "
            "Is it a file for this network?",
        ),
        (
            {"bias": torch.zeros(3)},
            "weights w.pth: expected weight of shape (2, 3), got nothing (1 missing, 1 of another shape). "
            "Is it a file for this network?",
        ),
        (
            {},
            "weights w.pth: expected weight of shape (2, 3), got nothing (2 missing, 0 of another shape). "
            "Is it a file for this network?",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_and_nothing_is_loaded(given, expected):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UsageError) as caught:
        load_strictly(model, given, "w.pth")
    assert str(caught.value) == expected
    torch.testing.assert_close(dict(model.state_dict()), before)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_tensors_of_either_layout_are_the_same_tensors(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    (torch.save if suffix == ".pth" else save_file)(tensors(), path)
    found = state_dict(str(path), None)
    torch.testing.assert_close(dict(found), tensors(), rtol=0, atol=0)
    assert identity(str(path), 0, None) == f"sha256:{sha256_file(path)}"


def test_random_weights_of_different_seeds_have_different_identities():
    assert identity("random", 1, None) != identity("random", 2, None)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(
        UsageError, match="expected `random`, `default`, a file or a name given by `weights add`, there is"
    ):
        identity(str(tmp_path / "no.pth"), 0, None)


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a weights file was run')",))


def test_code_in_a_weights_file_is_not_run_and_torchs_paragraph_is_not_shown(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(UsageError) as caught:
        state_dict(str(path), None)
    assert str(caught.value) == (
        f"weights {path}: expected only tensors, found exec, which would run code. Nothing in it was run. Where you "
        "trust the file, save the state_dict() of its network in the program that wrote it, and name that file."
    )


def scalars():
    """What programs leave in a checkpoint beside the tensors: scores as numpy has them, a step, arrays."""
    return {
        "curr_ap": np.mean([0.25, 0.5]), "best": np.float32(0.5), "epoch": np.int64(7), "ema": np.bool_(True),
        "big": np.array(3, ">i2")[()], "rows": np.arange(6.0).reshape(2, 3), "columns": np.asfortranarray(np.eye(2)),
        "complex": np.complex128(1j), "name": np.str_("r50"),
    }  # fmt: skip


@pytest.mark.parametrize("is_new", [True, False])
def test_a_checkpoint_with_numbers_of_numpy_is_read_as_it_was_saved(tmp_path, is_new):
    """As YOLOX's trainer saves its best score."""
    path = tmp_path / "best_ckpt.pth"
    torch.save({"model": tensors(), **scalars()}, path, _use_new_zipfile_serialization=is_new)
    same_as_saved(path)


def test_a_checkpoint_that_was_saved_with_numpy_1_is_read(tmp_path):
    """It names the same functions by another module; the old layout of torch's files counts no bytes."""
    path = tmp_path / "best_ckpt.pth"
    torch.save({"model": tensors(), **scalars()}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert content.count(b"cnumpy._core.multiarray\n") == 2
    path.write_bytes(content.replace(b"cnumpy._core.", b"cnumpy.core."))
    same_as_saved(path)


def same_as_saved(path):
    found = read_tensors(path)
    torch.testing.assert_close(found.pop("model"), tensors(), rtol=0, atol=0)
    for name, value in scalars().items():
        assert (found[name].dtype, found[name].tolist()) == (value.dtype, value.tolist()), name


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.array([{}, []], dtype=object), None),
        (np.zeros(2, [("a", "f4")]), "found the type 'V4'"),
        (np.datetime64("2020-01-01"), "found the type 'M8'"),
    ],
)
def test_other_types_of_numpy_are_refused(tmp_path, value, said):
    torch.save({"a": value}, tmp_path / "w.pth")
    if said is None:  # dictionaries and lists alone; who wants numbers looks at the type
        assert read_tensors(tmp_path / "w.pth")["a"].dtype.hasobject
        return
    with pytest.raises(UsageError, match=said):
        read_tensors(tmp_path / "w.pth")


def test_torch_is_as_strict_as_before_once_a_file_is_read(tmp_path):
    torch.save({"ap": np.float64(0.5)}, tmp_path / "w.pth")
    before = set(torch.serialization.get_safe_globals())
    read_tensors(tmp_path / "w.pth")
    assert set(torch.serialization.get_safe_globals()) == before
