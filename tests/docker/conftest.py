"""The built images, for the tests that run them."""

from collections.abc import Iterator, Mapping

import pytest

from tests.docker.containers import Image, mounted
from tests.docker.images_folder import IMAGES, build, obstacle


@pytest.fixture(scope="session")
def can_build() -> None:
    """Images can be built here; where not, the test is skipped, and says why."""
    if why := obstacle():
        pytest.skip(why)


@pytest.fixture(scope="session")
def images(can_build: None) -> Iterator[Mapping[str, Image]]:
    """All of them, built and mounted once."""
    with mounted(build(), *IMAGES.values()) as found:
        yield found
