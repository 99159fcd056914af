"""Configurations of detectron2: read as detectron2 reads them, but never run, and never from elsewhere."""

from pathlib import Path

import pytest
import yaml

from m3h.pipeline.extractors.detectron.configs import completed, config_file, inference_values, read_config
from m3h.pipeline.extractors.detectron.installed import require
from m3h.schemas.errors import UsageError

pytestmark = pytest.mark.usefixtures("detectron2")


def test_configurations_of_detectron2_are_read_as_it_reads_them_itself() -> None:
    from detectron2.config import get_cfg

    read = 0
    for file in sorted((require() / "model_zoo" / "configs").rglob("*R_50_FPN_1x.yaml")):
        theirs = get_cfg()
        try:
            theirs.merge_from_file(str(file), allow_unsafe=False)
        except yaml.YAMLError:  # needs Python to be run
            with pytest.raises(UsageError, match="not readable as YAML"):
                read_config(file)
            continue
        ours = completed(read_config(file), file)
        theirs.MODEL.MASK_ON = theirs.MODEL.KEYPOINT_ON = False
        for section in ("INPUT", "TEST"):
            assert {name: ours[section][name] for name in theirs[section]} == dict(theirs[section]), file
        own = {"ATTRIBUTE_ON", "ROI_ATTRIBUTE_HEAD", "BOTTOM_UP"}
        assert {name: value for name, value in ours.MODEL.items() if name not in own} == dict(theirs.MODEL), file
        read += 1
    assert read > 5


def test_a_file_overrides_its_bases_and_a_later_base_an_earlier_one(tmp_path: Path) -> None:
    written = {
        "a.yaml": {"MODEL": {"x": "a", "y": "a", "z": "a"}},
        "below/b.yaml": {"_BASE_": "../a.yaml", "MODEL": {"y": "b"}},
        "c.yaml": {"MODEL": {"z": "c", "w": [1, 2]}},
        "own.yaml": {"_BASE_": ["below/b.yaml", str(tmp_path / "c.yaml")], "MODEL": {"v": None}},
    }
    (tmp_path / "below").mkdir()
    for name, values in written.items():
        (tmp_path / name).write_text(yaml.safe_dump(values))
    expected = {"MODEL": {"x": "a", "y": "b", "z": "c", "w": [1, 2], "v": None}}
    assert read_config(tmp_path / "own.yaml") == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("_BASE_: https://example.org/base.yaml", "_BASE_ https://example.org/base.yaml: expected a local file"),
        ("_BASE_: detectron2://base.yaml", "_BASE_ detectron2://base.yaml: expected a local file"),
        ("_BASE_: [lost.yaml]", "lost.yaml: No such file or directory."),
        ("_BASE_: own.yaml", "inherits from itself by _BASE_"),
        ("_BASE_: 3", "_BASE_: expected the name of a file or several, got 3"),
        ("MODEL: !!python/object/apply:os.mkdir [{made}]", "not readable as YAML"),
        ("MODEL: {RESNET: {DEPTH: 50}}", "detectron2 refuses it: Non-existent config key: MODEL.RESNET"),
        ("MODEL: {RESNETS: {DEPTH: fifty}}", "detectron2 refuses it: Type mismatch"),
        ("MODEL: 3", "MODEL: expected fields and values, got 3."),
        ("SOLVER: {}", "MODEL: expected fields and values, got None."),
        ("{VERSION: 9, MODEL: {}}", "detectron2 refuses it: Cannot merge a v9 config"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(tmp_path: Path, text: str, error: str) -> None:
    made = tmp_path / "made"
    file = tmp_path / "own.yaml"
    file.write_text(text.replace("{made}", str(made)))
    with pytest.raises(UsageError) as caught:
        completed(inference_values(file), file)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not made.exists()


def test_a_configuration_is_named_by_path_or_as_detectron2_names_it(tmp_path: Path) -> None:
    name = "COCO-Detection/faster_rcnn_R_50_C4_1x.yaml"
    assert config_file(name) == require() / "model_zoo" / "configs" / name
    assert config_file(str(tmp_path / "own.yaml")) == tmp_path / "own.yaml"
