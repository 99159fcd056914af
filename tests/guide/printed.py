"""Whether a command printed what a page shows.

Line breaks and runs of spaces do not count, for a page breaks long lines. In the page `…` stands for anything,
`0.77–0.91` for a number within that range, and a fingerprint (16 hexadecimal digits) for the fingerprint of this
machine, which depends on the versions of programs: the same one throughout.
"""

import re

_PART = re.compile(
    r"(?P<range>(?P<least>\d+\.\d+)–(?P<most>\d+\.\d+))|(?P<rest>…)|\b(?P<mark>[0-9a-f]{16})\b|(?P<space>\s+)"
)


class Fingerprints:
    """Those that pages show, and those that this machine has in their place."""

    def __init__(self) -> None:
        self.here: dict[str, str] = {}

    def learn(self, shown: str, here: str) -> bool:
        """Whether `here` may stand for `shown`: whether it is the first, or the same as before."""
        return self.here.setdefault(shown, here) == here

    def in_command(self, words: str) -> str:
        """The words of a command, with the first digits of fingerprints as they are here."""

        def known(found: re.Match[str]) -> str:
            return next(
                (here[: len(found[0])] for shown, here in self.here.items() if shown.startswith(found[0])), found[0]
            )

        return re.sub(r"(?<=\s)[0-9a-f]{4,16}(?=\s|$)", known, words)


def differs(shown: str, printed: str, fingerprints: Fingerprints) -> str:
    """What is wrong with what a command printed, or ''."""
    pattern, parts, end = "", [], 0
    for part in _PART.finditer(shown):
        pattern += re.escape(shown[end : part.start()])
        end = part.end()
        if part["space"]:
            pattern += r"\s+"
        elif part["rest"]:
            pattern += r".*?"
        else:
            parts.append(part)
            pattern += r"(\d+\.\d+)" if part["range"] else r"([0-9a-f]{16})"
    found = re.fullmatch(r"\s*" + _loose(pattern + re.escape(shown[end:])) + r"\s*", printed, re.DOTALL)
    if not found:
        return f"the page shows\n{shown}\nbut it printed\n{printed}"
    for part, value in zip(parts, found.groups(), strict=True):
        if part["range"] and not float(part["least"]) <= float(value) <= float(part["most"]):
            return f"{value} is not in {part[0]}"
        if part["mark"] and not fingerprints.learn(part["mark"], value):
            return f"{value} stands for {part['mark']}, and another did before"
    return ""


def _loose(pattern: str) -> str:
    """`…` on a line of its own may stand for no line at all."""
    return re.sub(r"(?:\\s\+)?\.\*\?(?:\\s\+)?", lambda found: found[0].replace(r"\s+", r"\s*"), pattern)
