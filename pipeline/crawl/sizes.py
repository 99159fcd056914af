"""The URLs of a picture's sizes on pbs.twimg.com: x.jpg:large, x.jpg?name=large, x?format=jpg&name=large."""

from yarl import URL


def variants(url: URL, size: str) -> list[URL]:
    """The URLs to try in turn: the picture in the size `size`, then `url` itself. size: orig, large, or "" for none."""
    if not size or url.host != "pbs.twimg.com" or not url.path.startswith("/media/"):
        return [url]
    path, _, _ = url.raw_path.partition(":")
    resized = url.with_path(path, encoded=True, keep_query=True).update_query(name=size)
    return list(dict.fromkeys([resized, url]))
