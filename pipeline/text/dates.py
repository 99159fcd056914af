"""Dates of posts as seconds, in every spelling that Twitter has used."""

import math
import re
from datetime import datetime, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_V1_DATE = "%a %b %d %H:%M:%S %z %Y"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USUAL_V1 = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ({'|'.join(_MONTHS)}) (\d\d) (\d\d:\d\d:\d\d) \+0000 (\d{{4}})", re.ASCII
)
"""A v1.1 date as Twitter itself writes it. `strptime` takes twenty times as long."""

LONG_AGO = -math.inf
"""The moment of a date that is missing or that no calendar has."""


def moment(date: str) -> float:
    """Seconds since 1970 of a date as Twitter's v1.1 API writes it or as ISO 8601; LONG_AGO where it is neither."""
    try:
        read = datetime.fromisoformat(_iso(date).replace("Z", "+00:00"))
    except ValueError:
        try:
            read = datetime.strptime(date, _V1_DATE)
        except ValueError:
            return LONG_AGO
    return ((read if read.tzinfo else read.replace(tzinfo=timezone.utc)) - _EPOCH).total_seconds()


def _iso(date: str) -> str:
    """A usual v1.1 date as ISO 8601; any other as it is."""
    if not (usual := _USUAL_V1.fullmatch(date)):
        return date
    month, day, time, year = usual.groups()
    return f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{time}+00:00"
