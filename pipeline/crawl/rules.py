"""The settings of the crawler, one field per line."""

import ipaddress
import re
from pathlib import Path
from typing import Literal

import pydantic

from m3h.schemas.config import Settings
from m3h.schemas.errors import UsageError

_CONTACT = re.compile(r"(https?://|mailto:)?[!-~]+[@.][!-~]+")


class CrawlRules(Settings):
    """The pace, the limits and the allowed addresses of a crawl. Seconds are of the wall clock."""

    contact: str = ""  # e-mail address or web page for the User-Agent; required
    user_agent: str = pydantic.Field("m3h", pattern=r"^[A-Za-z0-9_-]+$")  # product name, also for robots.txt
    deadline_seconds: float = pydantic.Field(60.0, gt=0)  # for one picture, with retries, waits and redirects
    connect_seconds: float = pydantic.Field(10.0, gt=0)  # TCP and TLS
    read_seconds: float = pydantic.Field(20.0, gt=0)  # longest time without a byte
    max_bytes: int = pydantic.Field(20_000_000, ge=1)
    concurrency: int = pydantic.Field(64, ge=1)  # pictures downloaded at once, and most bodies in memory
    host_concurrency: int = pydantic.Field(4, ge=1)
    host_rate: float = pydantic.Field(10.0, gt=0)  # requests per second to one host
    retries: int = pydantic.Field(3, ge=0)
    backoff_seconds: float = pydantic.Field(1.0, gt=0)  # upper bound of the first random wait; doubles each time
    backoff_max_seconds: float = pydantic.Field(30.0, gt=0)
    patience_seconds: float = pydantic.Field(600.0, ge=0)  # longest pause of a host that is waited for
    refusals: int = pydantic.Field(4, ge=1)  # how often in a row a host may ask for a pause before it rests
    rest_seconds: float = pydantic.Field(3600.0, ge=0)  # how long it rests
    max_redirects: int = pydantic.Field(5, ge=0)
    robots: bool = True
    x_robots_tag: bool = True
    tdm: bool = True
    ports: tuple[int, ...] = (80, 443)
    allow: tuple[str, ...] = ()  # host names or networks that may be private, for example 127.0.0.0/8
    ca_file: Path | None = None  # PEM file with more certificate authorities
    image_size: Literal["", "large", "orig"] = ""  # size on pbs.twimg.com/media; "": as the URL has it

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
        """UsageError without a contact: nobody may crawl anonymously."""
        if not self.contact:
            raise UsageError(
                "crawl.contact: missing. Give an e-mail address or a web page; servers see it in the User-Agent."
            )

    @property
    def agent_header(self) -> str:
        """The value of the User-Agent header: the product and the contact."""
        return f"{self.user_agent}/0.1 (+{self.contact})"

    @property
    def spacing(self) -> float:
        """Seconds between two requests to one host.

        It is a little more than 1 / host_rate. So the server sees at most `host_rate` requests in each second of its
        clock, even when one request takes up to 100 ms longer on its way than another.
        """
        return (1 + _JITTER_SECONDS) / self.host_rate


_JITTER_SECONDS = 0.1
