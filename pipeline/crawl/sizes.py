"""The sizes in which pbs.twimg.com serves a picture: x.jpg:large, x.jpg?name=large, x?format=jpg&name=large."""

from yarl import URL


def variants(url: URL, size: str) -> list[URL]:
    """URLs to try in turn: the picture in `size`, then as given. size: orig, large, or "" for as given."""
    if not size or url.host != "pbs.twimg.com" or not url.path.startswith("/media/"):
        return [url]
    path, _, _ = url.raw_path.partition(":")
    wanted = url.with_path(path, encoded=True, keep_query=True).update_query(name=size)
    return list(dict.fromkeys([wanted, url]))
