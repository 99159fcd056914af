"""Trained parameters of each system with the paper's vocabularies: what `m3h systems` prints, without loading torch.

`tests/model/test_systems.py` counts them in the networks themselves.
"""

PAPER_PARAMETERS: dict[str, tuple[int, int]] = {
    "cls-vgg-max": (1_617_362, 0),
    "cls-vgg-avg": (1_617_362, 0),
    "cls-butd-max": (2_078_162, 0),
    "cls-butd-avg": (2_078_162, 0),
    "ext-oracle": (0, 0),
    "cls-avg": (11_188_262, 0),
    "cls-max": (11_188_262, 0),
    "cls-tmn": (20_820_013, 0),
    "gen-att": (24_144_306, 0),
    "gen-copy": (24_145_107, 0),
    "gen-topic": (30_033_807, 0),
    "cls-ban": (13_057_862, 0),
    "cls-img-att": (11_613_062, 0),
    "cls-co-att": (11_793_362, 0),
    "cls-m3h": (13_787_162, 0),
    "cls-m3h+wording": (16_492_862, 0),
    "cls-m3h+wording+joint": (30_913_169, 0),
    "gen-m3h": (26_834_307, 0),
    "gen-m3h+wording": (29_540_007, 0),
    "gen-m3h+wording+joint": (30_913_169, 0),
    "gen-cls-m3h": (30_913_169, 30_913_169),
    "released": (26_500_205, 14_541_408),
    "cls-krr": (1, 0),
    "cls-krr+features": (660, 0),
    "m3h-best": (2_401, 0),
    "gen-cls-m3h+krr": (29_540_667, 29_540_667),
    "gen-cls-m3h+distilled": (30_913_169, 30_913_169),
    "gen-cls-m3h+distilled+rescored": (30_913_169, 0),
}
"""Name of a system -> parameters in the only phase or before aggregation, and in a second phase, or 0."""
