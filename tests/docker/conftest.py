"""The built images, for the tests that run them."""

from collections.abc import Iterator, Mapping

import pytest

from tests.docker.containers import Image, mounted
from tests.docker.images_folder import build, obstacle


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, Image]]:
    """The trainer, the worker and Flink, built and mounted once."""
    if why := obstacle():
        pytest.skip(why)
    with mounted(build(), "m3h-trainer", "m3h-worker", "m3h-flink") as found:
        yield found
