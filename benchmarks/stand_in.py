"""Pictures without pixels, to measure all the rest: found by their names, with rows as long as those of real ones.

Looking at a picture costs about 30 ms whatever else there is; a million of them would hide what is to be seen. Each
name stands for a picture of its own, and some are spoilt, as benchmarks.dumps says.
"""

import base64
import hashlib
from collections.abc import Iterable

import numpy as np

from benchmarks.dumps import spoilt
from m3h.pipeline.cleaning.local_features import FEATURE, MOST
from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.stages.images import Images
from m3h.schemas.errors import ImageFault
from m3h.schemas.posts import ImageRef


class StandIn(Images):
    """In the place of `m3h.pipeline.stages.images.Images`: nothing is read."""

    def take(self, reference: ImageRef, known: str = "", home: str = "", post_ids: Iterable[str] = ()) -> StoredImage:
        """Of the length of a photo's, every value its own."""
        if reason := spoilt(reference.url.rpartition("/")[2]):
            raise ImageFault(reason, reference.url)
        digest = hashlib.sha256(reference.url.encode()).hexdigest()
        draw = np.random.default_rng(int(digest[:16], 16))
        places = np.zeros(MOST, FEATURE)
        places["x"], places["y"] = draw.uniform(0, 256, (2, MOST))
        places["scale"], places["bits"] = draw.uniform(2, 24, MOST), draw.integers(0, 1 << 63, MOST, dtype=np.uint64)
        encoded = base64.b64encode(places.tobytes()).decode()
        return StoredImage(digest, 100_000, 1200, 800, "RGB", digest[16:32], encoded)
