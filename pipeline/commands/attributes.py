"""Commands that train what features need: train-attributes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.pipeline.commands.options import CORES, JsonOption, SetOption
from m3h.schemas.console import DONE, say, writable_file


def train_attributes_command(
    captions: Annotated[Path, typer.Option("--captions", help="JSON as COCO's captions_train2017.json.")],
    images: Annotated[Path, typer.Option("--images", help="Folder with the pictures it names.")],
    out: Annotated[
        Path,
        typer.Option("--out", callback=writable_file, help="The head, NAME.safetensors; an existing file is replaced."),
    ],
    vocabulary: Annotated[
        Path | None,
        typer.Option("--vocabulary", help="Your attributes, one word in each line, instead of counted ones."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file with any of the fields.")] = None,
    set_: SetOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes for the backbone, on CPU.")] = CORES,
    as_json: JsonOption = False,
) -> int:
    """Captioned pictures -> the head of the feature `attributes`. After a stop, the same command continues.

    \b
    m3h train-attributes --captions captions_train2017.json --images train2017 --out head.safetensors
    m3h train-attributes --captions c.json --images pics --out head.safetensors --vocabulary words.txt
    m3h train-attributes --captions c.json --images pics --out trial.safetensors \\
        --set trunk.backbone=resnet18 trunk.weights=random fit.epochs=5
    """
    from m3h.pipeline.attributes.config import TrainAttributesConfig
    from m3h.pipeline.attributes.train import TrainOptions, train_attributes
    from m3h.schemas.config import resolve

    rules = resolve(TrainAttributesConfig, config, set_ or ())
    report = train_attributes(TrainOptions(captions, images, out, vocabulary, rules, workers))
    say(report, as_json, _text(report, out))
    return DONE


def _text(report: dict[str, Any], out: Path) -> str:
    unusable = [f"{report[name]} {name}" for name in ("missing", "unreadable") if report[name]]
    listed = f", {', '.join(unusable)} (listed in {out.with_suffix('.report.json').name})" if unusable else ""
    frequent = report["most_frequent"]
    return "\n".join(
        [
            f"{report['images']} pictures, {report['valid']} of them to validate with{listed}",
            f"{report['attributes']} attributes from {report['from']}",
            f"epoch {report['epoch']}: mAP {report['map']:.4f} (most frequent attributes {frequent['map']:.4f}), "
            f"recall@5 {report['recall_at_5']:.4f} ({frequent['recall_at_5']:.4f})",
            f"head: {out}",
        ]
    )
