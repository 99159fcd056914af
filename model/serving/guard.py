"""Who may use the server: pages of its own and programs of this machine, but no page of another server.

The server listens on this machine alone. A browser on this machine still sends what any web page tells it to. Such a
page is known by its Origin; one whose host name was pointed at this machine (DNS rebinding), by its Host.
"""

from typing import Any

LOCAL_HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""Sent with every answer. The page loads nothing from elsewhere, and no other page shows or reads it."""


def refusal(host: str, origin: str | None) -> str | None:
    """Why a request may not be answered, in one line; None where it may.

    Args:
        host: its header Host.
        origin: its header Origin; None where it has none, as that of a program.
    """
    name = host.rpartition(":")[0] or host
    if name.lower() not in LOCAL_HOSTS:
        return f"Host: expected {' or '.join(LOCAL_HOSTS)}, found {host[:100]!r}."
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return f"Origin: expected http://{host}, found {origin[:100]!r}. Only the page of this server may use it."
    return None


class Guard:
    """ASGI middleware: refuses with 403, and adds HEADERS to all answers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import JSONResponse

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "http":
            return await self._app(scope, receive, send)  # type: ignore[no-any-return]
        headers = Headers(scope=scope)
        why = refusal(headers.get("host", ""), headers.get("origin"))
        answered = self._app if why is None else JSONResponse({"error": why}, 403)
        await answered(scope, receive, send_with_headers)
        return None
