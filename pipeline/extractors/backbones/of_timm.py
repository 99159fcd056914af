"""Networks of timm (https://github.com/huggingface/pytorch-image-models)."""

from math import floor
from typing import TYPE_CHECKING

from m3h.pipeline.extractors.backbones.architecture import Architecture, unknown_network
from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing, preprocessing
from m3h.pipeline.extractors.backbones.published import imagenet_classes
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch


class OfTimm(Architecture):
    """name: as `timm.list_models` has it, with or without the tag of its weights (`resnet18.a1_in1k`)."""

    module, package, extra = "timm", "timm", "timm"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import timm

        if not timm.is_model(name):
            raise unknown_network("timm", name, timm.list_models())

    def build(self) -> "torch.nn.Module":
        """Without weights: timm would download them."""
        import timm

        return timm.create_model(self.name, pretrained=False)

    def preprocessing(self) -> Preprocessing:
        """By `timm.data.resolve_data_config`."""
        from timm.data import resolve_data_config

        cfg = resolve_data_config(model=self.empty())
        side = cfg["input_size"][1:]
        scaled = floor(side[0] / cfg["crop_pct"])
        how = {"mean": tuple(cfg["mean"]), "std": tuple(cfg["std"]), "mode": cfg["crop_mode"]}
        return preprocessing(f"timm:{self.name}", side, scaled, cfg["interpolation"], **how)

    def classes(self) -> tuple[str, ...]:
        """Of ImageNet, for a network with a thousand outputs; by timm's own lists for its other subsets of ImageNet."""
        import timm
        from timm.data import ImageNetInfo, infer_imagenet_subset

        cfg = timm.get_pretrained_cfg(self.name)
        number = cfg.num_classes if cfg else 1000
        if number == 1000:
            return imagenet_classes()
        subset = infer_imagenet_subset(cfg.to_dict())
        if not subset:
            raise UsageError(
                f"network timm:{self.name}: the names of its {number} classes are not known. Name a file with them, "
                "one a line: features.backbone_labels.words=FILE"
            )
        info = ImageNetInfo(subset)
        return tuple(info.index_to_description(i) for i in range(info.num_classes()))

    def no_default(self) -> str:
        """timm's weights come from Hugging Face."""
        import timm

        cfg = timm.get_pretrained_cfg(self.name)
        where = f"model.safetensors of https://huggingface.co/{cfg.hf_hub_id}" if cfg and cfg.hf_hub_id else "a file"
        return (
            f"network timm:{self.name}: its weights are not downloaded here. Get {where} and set weights=FILE, or "
            "weights=random for a trial."
        )
