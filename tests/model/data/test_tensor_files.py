"""Tensors that were written and read again are the same, in what is computed with them too."""

from pathlib import Path

import pytest
import torch

from m3h.model.data.tensor_files import load_tensors, save_tensors
from m3h.schemas.errors import IntegrityError


@pytest.mark.parametrize("length", range(0, 64, 4))
def test_products_with_tensors_of_a_file_are_those_of_the_tensors_that_were_written(
    tmp_path: Path, length: int
) -> None:
    """Wherever the bytes of a tensor lie in the file: a name of another length moves them."""
    weight_vd, x_bd = torch.randn(5, 1000), torch.randn(1, 1000)
    save_tensors(tmp_path / "w.safetensors", {"weight": weight_vd, "n" * (1 + length): torch.zeros(1 + length)})
    read_vd = load_tensors(tmp_path / "w.safetensors")["weight"]
    assert torch.equal(read_vd, weight_vd)
    assert torch.equal(x_bd @ read_vd.T, x_bd @ weight_vd.T)


def test_other_content_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    with pytest.raises(IntegrityError, match=r"w\.safetensors: not readable as safetensors"):
        load_tensors(file)
    file.write_bytes(b"no tensors")
    with pytest.raises(IntegrityError, match=r"w\.safetensors: not readable as safetensors"):
        load_tensors(file)
