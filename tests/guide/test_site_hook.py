"""Links of the pages, as the site needs them."""

import importlib.util
from types import ModuleType

import pytest

from tests.commands import ROOT


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hook", ROOT / "docs" / "site_hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "in_site"),
    [
        ("[a](cleaning.md#groups)", "[a](cleaning.md#groups)"),
        ("[a](../README.md#install)", "[a](overview.md#install)"),
        ("[a](../benchmarks/README.md)", "[a](benchmarks.md)"),
        ("[a](../pipeline/text)", "[a](api/pipeline/text.md)"),
        ("[a](../pipeline/text/tokenizer.py)", "[a](api/pipeline/text.md#m3h.pipeline.text.tokenizer)"),
        ("[a](../schemas/config.py)", "[a](api/schemas.md#m3h.schemas.config)"),
        ("[a](../tests/commands.py)", "a"),
        ("[a](https://x.org/y)", "[a](https://x.org/y)"),
        ("![a](architecture.svg)", "![a](architecture.svg)"),
    ],
)
def test_a_link_of_a_page_leads_to_the_same_in_the_site(hook: ModuleType, link: str, in_site: str) -> None:
    assert hook.linked(link, "docs/index.md", "index.md") == in_site


def test_links_in_blocks_stay(hook: ModuleType) -> None:
    assert hook.in_site("[a](../README.md)\n```text\n[a](../README.md)\n```\n", "index.md").count("README") == 1
