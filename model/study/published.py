"""The tables and figures of the paper: the systems of each, and the published scores to compare with.

A published score is given only if a second source confirms it: the paper and its authors' release. The EXT-ORACLE row
of the paper uses the definition `fixed-k`, the other rows `cmkp`.
"""

from dataclasses import dataclass

FULL = "gen-cls-m3h"
SCORES = ("f1@1", "f1@3", "map@5")


@dataclass(frozen=True)
class Row:
    """One row of a table. sets: FIELD=VALUE besides the system. published: percent, in the order of SCORES."""

    label: str
    system: str
    sets: tuple[str, ...] = ()
    published: tuple[float | None, ...] = (None, None, None)

    @property
    def folder(self) -> str:
        """The folder of its runs. Equal rows of two tables share it."""
        return ",".join((self.system, *self.sets))


TABLE_1 = {
    "posts": ("#Post", {"valid": 5_370, "test": 5_372}),
    "post_len": ("Post Len", {"valid": 26.81, "test": 27.05}),
    "keyphrases_per_post": ("#KP/Post", {"valid": 1.34, "test": 1.32}),
    "unique_keyphrases": ("|KP|", {"train": 4_261, "valid": 2_544, "test": 2_534}),
    "keyphrase_len": ("KP Len", {"valid": 1.85, "test": 1.86}),
    "present_pct": ("% of occ. KP", {"valid": 36.01, "test": 37.45}),
    "vocab": ("Vocab", {"valid": 16_892, "test": 17_021}),
}

TABLE_2 = (
    Row("CLS-VGG-MAX", "cls-vgg-max"),
    Row("CLS-VGG-AVG", "cls-vgg-avg"),
    Row("CLS-BUTD-MAX", "cls-butd-max"),
    Row("CLS-BUTD-AVG", "cls-butd-avg"),
    Row("EXT-ORACLE", "ext-oracle", published=(39.50, 23.20, 39.26)),
    Row("CLS-AVG", "cls-avg"),
    Row("CLS-MAX", "cls-max"),
    Row("CLS-TMN", "cls-tmn"),
    Row("GEN-ATT", "gen-att"),
    Row("GEN-COPY", "gen-copy"),
    Row("GEN-TOPIC", "gen-topic"),
    Row("CLS-BAN", "cls-ban"),
    Row("CLS-IMG-ATT", "cls-img-att"),
    Row("CLS-CO-ATT", "cls-co-att"),
    Row("CLS-M3H-ATT", "cls-m3h"),
    Row("  +image wording", "cls-m3h+wording"),
    Row("  +joint-train", "cls-m3h+wording+joint"),
    Row("GEN-M3H-ATT", "gen-m3h"),
    Row("  +image wording", "gen-m3h+wording"),
    Row("  +joint-train", "gen-m3h+wording+joint"),
    Row("GEN-CLS-M3H-ATT", FULL, published=(47.06, None, None)),
    Row("the released code", "released", published=(47.13, 33.22, 52.26)),
    Row("ours: kernel ridge", "cls-krr"),
    Row("  +features", "cls-krr+features"),
    Row("ours: GEN-CLS-M3H-ATT + kernel ridge", "gen-cls-m3h+krr"),
    Row("ours: GEN-CLS-M3H-ATT + distilled", "gen-cls-m3h+distilled"),
    Row("  +rescored", "gen-cls-m3h+distilled+rescored"),
)
"""The systems of the paper, the code of its authors, and our systems."""

TABLE_3 = (
    Row("full model", FULL, published=(47.06, None, None)),
    Row("without OCR", FULL, ("drop_inputs=[ocr]",)),
    Row("without attributes", FULL, ("drop_inputs=[attributes]",)),
    Row("without either", FULL, ("drop_inputs=[ocr,attributes]",)),
    Row("without vision", FULL, ("drop_inputs=[vision]",)),
    Row("text alone", FULL, ("drop_inputs=[ocr,vision,attributes]",)),
    Row("without aggregation", "gen-m3h+wording+joint"),
)
"""The full model without one of its parts."""

TABLE_4 = (
    Row("CLS-M3H-ATT", "cls-m3h"),
    Row("  +image wording", "cls-m3h+wording"),
    Row("GEN-M3H-ATT", "gen-m3h"),
    Row("  +image wording", "gen-m3h+wording"),
    Row("GEN-CLS-M3H-ATT", FULL),
)
FIGURE_5 = (Row("CLS-MAX", "cls-max"), Row("GEN-COPY", "gen-copy"), Row("GEN-CLS-M3H-ATT", FULL))
FIGURE_6 = (Row("GEN-CLS-M3H-ATT", FULL),)
FIGURE_7 = (Row("GEN-COPY", "gen-copy"), Row("CLS-CO-ATT", "cls-co-att"), Row("GEN-CLS-M3H-ATT", FULL))
FIGURE_9 = (Row("GEN-COPY", "gen-copy"), Row("GEN-CLS-M3H-ATT", FULL))
TABLE_4_SUBSETS = ("OCR words", "OCR has a keyphrase's word", "attributes have one")
"""The posts of Table 4: posts whose image has words, and posts where image wordings can help."""
