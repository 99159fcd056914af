"""The server's application: the page, `POST /predict`, and `/openapi.json`.

Any number of requests may come. Few are in memory at one time, all others wait unread; and one thread answers them,
with the one model. So memory is bounded whatever is sent.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.model.serving.guard import Guard
from m3h.model.serving.messages import MAX_BODY, Answer, Question, question_of
from m3h.model.serving.openapi import openapi
from m3h.schemas.errors import M3hError, UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

IN_MEMORY = 8
"""Requests whose bodies are read or answered."""
MAX_WAITING = 512
"""Further ones that wait for that. Beyond it a request is refused."""
BODY_SECONDS = 20.0
"""How long a body may take to arrive."""
PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}

Answerer = Callable[[Question], Answer]


class RefusedError(Exception):
    """A request that is not answered. is_open: whether its connection can be used on."""

    def __init__(self, status: HTTPStatus, why: str, *, is_open: bool = True) -> None:
        super().__init__(why)
        self.status, self.is_open = status, is_open


def application(answerer: Answerer, run: str, *, body_seconds: float = BODY_SECONDS) -> "Starlette":
    """The application of one run.

    Args:
        answerer: answers one question at a time. UsageError where the question is wrong.
        run: its name, for the page.
        body_seconds: how long a request's body may take to arrive.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    desk = _Desk(answerer, body_seconds)

    async def predict(request: "Request") -> "Response":
        try:
            return Response((await desk.answer(request)).model_dump_json(), media_type="application/json")
        except RefusedError as refused:
            headers = {} if refused.is_open else {"connection": "close"}
            return JSONResponse({"error": str(refused)}, refused.status, headers)

    async def describe(_: "Request") -> "Response":
        return JSONResponse(openapi(run))

    async def show(request: "Request") -> "Response":
        name, kind = FILES[request.url.path]
        text = (PAGE / name).read_text(encoding="utf-8")
        return Response(text, media_type=kind)

    async def refuse(_: "Request", error: Exception) -> "Response":
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        what = error.detail if isinstance(error, HTTPException) else "a fault of the server; its log has more"
        return JSONResponse({"error": f"{what}. See /openapi.json."}, status)

    routes = [Route("/predict", predict, methods=["POST"]), Route("/openapi.json", describe)]
    handlers: Any = {HTTPException: refuse, Exception: refuse}
    routes += [Route(path, show) for path in FILES]
    return Starlette(routes=routes, middleware=[Middleware(Guard)], exception_handlers=handlers)


class _Desk:
    """Where requests wait, are read, and are answered one after the other."""

    def __init__(self, answerer: Answerer, body_seconds: float) -> None:
        self._answerer, self._body_seconds = answerer, body_seconds
        self._places = asyncio.Semaphore(IN_MEMORY)
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "answers")

    async def answer(self, request: "Request") -> Answer:
        """The answer to one request. RefusedError where there is none."""
        _check_head(request)
        if self._waiting >= MAX_WAITING:
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, f"{MAX_WAITING} requests wait already; ask again later.")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            body = await self._body(request)
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answered, body)
        finally:
            self._places.release()

    async def _body(self, request: "Request") -> bytes:
        import anyio
        from starlette.requests import ClientDisconnect

        parts: list[bytes] = []
        size = 0
        try:
            with anyio.fail_after(self._body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size <= MAX_BODY:
                        parts.append(part)
                    else:  # read to its end all the same: who still sends does not look for an answer
                        parts.clear()
        except TimeoutError as error:
            why = f"the body did not arrive within {self._body_seconds:g} s."
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, why, is_open=False) from error
        except ClientDisconnect as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request was cut off.", is_open=False) from error
        if size > MAX_BODY:
            raise _too_large()
        return b"".join(parts)

    def _answered(self, body: bytes) -> Answer:
        try:
            question = question_of(body)
        except ValueError as error:
            status = HTTPStatus.BAD_REQUEST if str(error).startswith("request: ") else HTTPStatus.UNPROCESSABLE_ENTITY
            raise RefusedError(status, str(error)) from error
        try:
            return self._answerer(question)
        except UsageError as error:
            raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(str(error).split())) from error
        except M3hError as error:
            logger.error("%s", error)
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(error).split())) from error


def _check_head(request: "Request") -> None:
    """RefusedError for a body of another kind, or of more bytes than one may have."""
    kind = request.headers.get("content-type", "nothing")
    if kind.partition(";")[0].strip().lower() != "application/json":
        why = f"content-type: expected application/json, found {kind[:100]!r}. See /openapi.json."
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise _too_large()


def _too_large() -> RefusedError:
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MAX_BODY:,} bytes, found more.")
