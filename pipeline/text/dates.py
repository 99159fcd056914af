"""Dates of posts as seconds, in every spelling that Twitter has used."""

import math
from datetime import datetime, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


_V1_DATE = "%a %b %d %H:%M:%S %z %Y"


LONG_AGO = -math.inf
"""The moment of a date that is missing or that no calendar has."""


def moment(date: str) -> float:
    """Seconds since 1970 of a date as Twitter's v1.1 API writes it or as ISO 8601; LONG_AGO where it is neither."""
    try:
        read = datetime.fromisoformat(date.replace("Z", "+00:00"))
    except ValueError:
        try:
            read = datetime.strptime(date, _V1_DATE)
        except ValueError:
            return LONG_AGO
    return ((read if read.tzinfo else read.replace(tzinfo=timezone.utc)) - _EPOCH).total_seconds()
