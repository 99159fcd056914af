"""Weights fit their network to the letter, or are refused by name; only tensors are ever unpickled."""

import pytest
import torch
from safetensors.torch import save_file

from m3h.pipeline.extractors.weights import identity, load_strictly, state_dict
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


def test_code_in_a_weights_file_is_not_run(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(UsageError, match=r"Nothing in it was run\. torch says: Weights only load failed"):
        state_dict(str(path), None)
