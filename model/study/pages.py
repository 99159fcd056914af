"""Pages that a browser opens from disk: one HTML file with its style in it, and files beside it by relative names."""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_text

LONGEST_NAME = 120


def write_page(path: Path, template: str, **values: object) -> None:
    """Write a page. No text in `values` is taken for markup.

    Args:
        path: of the HTML file.
        template: its name in assets/.
        values: what the template shows.

    Raises:
        UsageError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("a page needs jinja2: pip install 'm3h[figures]'.") from error
    assets = files(__package__) / "assets"
    names = ("page.html.jinja", "page.css", "words.html.jinja", template)
    texts = {name: (assets / name).read_text(encoding="utf-8") for name in names}
    pages = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.DictLoader(texts))
    publish_text(path, pages.get_template(template).render(**values))


def file_name(text: str) -> str:
    """A name for a file or folder, made of any text, such as the id of a post; other texts have other names."""
    name = quote(text, safe="")
    if len(name) > LONGEST_NAME:
        return f"{name[: LONGEST_NAME - 33]}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}"
    return name.replace(".", "%2E") if not name.strip(".") else name


def shaded(names: list[str], weights: Any) -> list[tuple[str, float, float]]:
    """Each name with its weight, and with its strength: 0 to 1, beside the largest weight."""
    values = [float(weight) for weight in weights][: len(names)]
    largest = max(values, default=0) or 1
    return [(name, value, value / largest) for name, value in zip(names, values, strict=False)]
