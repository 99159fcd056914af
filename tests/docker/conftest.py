"""The built images, for the tests that run them."""

from collections.abc import Iterator, Mapping

import pytest

from tests.docker.containers import Image, mounted
from tests.docker.images_folder import IMAGES, build, obstacle


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, Image]]:
    """All of them, built and mounted once."""
    if why := obstacle():
        pytest.skip(why)
    with mounted(build(), *IMAGES.values()) as found:
        yield found
