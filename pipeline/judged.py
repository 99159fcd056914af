"""What the gate said of pictures, kept while a build is unfinished: however often killed, it decodes a picture once."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.gate import gate_of
from pipeline.images import StoredImage
from pipeline.rules import ImageRules
from schemas.errors import ImageFault
from schemas.features import canonical_json
from schemas.files import json_text, publish_bytes, read_json_if_whole

_PASSING = "image_gate_"
"""How reasons begin that another try may do without."""


def judge(data: bytes, rules: ImageRules, folder: Path) -> StoredImage:
    """As the gate's `inspect`, of a picture that may have been looked at before. folder: of the verdicts."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / _of_rules(rules) / digest[:2] / f"{digest}.json"
    verdict: dict[str, Any] | None = read_json_if_whole(path)
    if verdict is None:
        verdict = _asked(data, rules)
        if not verdict.get("reason", "").startswith(_PASSING):
            publish_bytes(path, json_text(verdict).encode(), lasting=False)
    if "reason" in verdict:
        raise ImageFault(verdict["reason"], verdict["detail"])
    return StoredImage(**verdict)


def _asked(data: bytes, rules: ImageRules) -> dict[str, Any]:
    try:
        return vars(gate_of(rules).inspect(data))
    except ImageFault as fault:
        return {"reason": fault.reason, "detail": fault.detail}


@lru_cache(maxsize=4)
def _of_rules(rules: ImageRules) -> str:
    return hashlib.sha256(canonical_json(rules.model_dump(mode="json")).encode()).hexdigest()[:8]
