"""What the validator said of pictures, kept while a build is unfinished, so that each is decoded once."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from m3h.pipeline.cleaning.local_features import FEATURES_VERSION
from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.images.validator import validator_of
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault
from m3h.schemas.features import canonical_json
from m3h.schemas.files import json_text, publish_bytes, read_json_if_whole
from m3h.schemas.inside import file_in

_PASSING = "image_decoder_"
"""How reasons begin that another try may do without."""


def judge(data: bytes, rules: ImageRules, folder: Path) -> StoredImage:
    """As the validator's `inspect`, of a picture that may have been looked at before.

    Args:
        data: the picture's bytes.
        rules: which pictures may be kept; verdicts by other rules or with other features do not count.
        folder: of the verdicts.

    Raises:
        ImageFault: where the picture may not be kept.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = file_in(folder, f"{_of_rules(rules)}/{digest[:2]}/{digest}.json")
    verdict: dict[str, Any] | None = read_json_if_whole(path)
    if verdict is None:
        verdict = _asked(data, rules)
        reason = verdict.get("reason", "")
        if not may_pass_next_time(reason):
            publish_bytes(path, json_text(verdict).encode(), lasting=False)
    if "reason" in verdict:
        raise ImageFault(verdict["reason"], verdict["detail"])
    return StoredImage(**verdict)


def may_pass_next_time(reason: str) -> bool:
    """Whether a picture that was refused for this reason may be accepted at another try."""
    return reason.startswith(_PASSING)


def _asked(data: bytes, rules: ImageRules) -> dict[str, Any]:
    try:
        return vars(validator_of(rules).inspect(data))
    except ImageFault as fault:
        return {"reason": fault.reason, "detail": fault.detail}


@lru_cache(maxsize=4)
def _of_rules(rules: ImageRules) -> str:
    judged_by = rules.model_dump(mode="json"), FEATURES_VERSION
    return hashlib.sha256(canonical_json(judged_by).encode()).hexdigest()[:8]
