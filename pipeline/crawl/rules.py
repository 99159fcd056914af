"""How the crawler behaves: one field a line."""

import ipaddress
import re
from pathlib import Path
from typing import Literal

import pydantic

from schemas.config import Settings
from schemas.errors import UsageError

_CONTACT = re.compile(r"(https?://|mailto:)?[!-~]+[@.][!-~]+")


class CrawlRules(Settings):
    """Politeness, limits and the guard of a crawl. Seconds are of the wall clock."""

    contact: str = ""  # e-mail address or web page for the User-Agent; nothing is fetched without one
    user_agent: str = pydantic.Field("m3h", pattern=r"^[A-Za-z0-9_-]+$")  # the product's name, as robots.txt knows it
    deadline_seconds: float = pydantic.Field(60.0, gt=0)  # of one picture: retries, waits, redirects and all
    connect_seconds: float = pydantic.Field(10.0, gt=0)  # TCP and TLS
    read_seconds: float = pydantic.Field(20.0, gt=0)  # without a single byte
    max_bytes: int = pydantic.Field(20_000_000, ge=1)
    concurrency: int = pydantic.Field(64, ge=1)  # pictures under way at once, and the most bodies in memory
    host_concurrency: int = pydantic.Field(4, ge=1)
    host_rate: float = pydantic.Field(10.0, gt=0)  # requests a second and host
    retries: int = pydantic.Field(3, ge=0)
    backoff_seconds: float = pydantic.Field(1.0, gt=0)  # doubled with every retry, drawn from 0 to there
    backoff_max_seconds: float = pydantic.Field(30.0, gt=0)
    patience_seconds: float = pydantic.Field(600.0, ge=0)  # a host that asks for a longer pause is left for this run
    max_redirects: int = pydantic.Field(5, ge=0)
    robots: bool = True
    x_robots_tag: bool = True
    tdm: bool = True
    ports: tuple[int, ...] = (80, 443)
    allow: tuple[str, ...] = ()  # host names or networks that may be private, such as 127.0.0.0/8
    ca_file: Path | None = None  # further certificates to trust, PEM
    image_size: Literal["", "large", "orig"] = ""  # of pbs.twimg.com/media; the URL as given where there is none

    @pydantic.field_validator("contact")
    @classmethod
    def _contact_can_be_sent(cls, contact: str) -> str:
        if contact and not _CONTACT.fullmatch(contact):
            raise ValueError("expected an e-mail address or a web page, such as me@example.org")
        return contact

    @pydantic.field_validator("allow")
    @classmethod
    def _networks_are_exact(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for entry in allow:
            if "/" in entry:
                ipaddress.ip_network(entry)
        return allow

    def require_contact(self) -> None:
        """UsageError where nobody is named: nobody crawls anonymously."""
        if not self.contact:
            raise UsageError("crawl.contact: who crawls? Give an e-mail address or a web page for the User-Agent.")

    @property
    def agent_header(self) -> str:
        """The User-Agent: who we are and whom to ask."""
        return f"{self.user_agent}/0.1 (+{self.contact})"

    @property
    def spacing(self) -> float:
        """Seconds between two requests to one host.

        A little over 1/rate: the way to the server may take up to 100 ms longer for one request than for another, and
        still no second of the server's clock sees more than `host_rate` of them.
        """
        return (1 + _JITTER_SECONDS) / self.host_rate


_JITTER_SECONDS = 0.1
