"""A server of small JPEGs for the crawl's case: python -m benchmarks.cases.crawl_server 160

It prints its port. /N.jpg is file N, anything else is not there.
"""

import asyncio
import io
import sys

import numpy as np
from PIL import Image

PICTURES = 200
"""Pictures drawn; a comment with the URL's number makes a file of its own of each, so that nothing is stored once."""


def pictures(side: int) -> list[bytes]:
    """Colour JPEGs of coarse patches and some noise."""
    made = []
    for seed in range(PICTURES):
        random = np.random.default_rng(seed)
        patches = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side))
        noisy = np.clip(np.asarray(patches, dtype=np.int16) + random.integers(-12, 12, (side, side, 3)), 0, 255)
        out = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(out, "JPEG", quality=85)
        made.append(out.getvalue())
    return made


def numbered(drawn: list[bytes], number: int) -> bytes:
    """The file of URL `number`: a picture with the number in a JPEG comment."""
    picture = drawn[number % len(drawn)]
    return picture[:20] + b"\xff\xfe\x00\x0a%08d" % number + picture[20:]  # after the JFIF segment


def serve(side: int) -> None:
    """A server as small as can be, in a process of its own: /N.jpg is file N, anything else is not there."""
    drawn = pictures(side)

    class Conversation(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            self.held = b""

        def data_received(self, data: bytes) -> None:
            *heads, self.held = (self.held + data).split(b"\r\n\r\n")
            for head in heads:
                number = head.split(b" ", 2)[1][1:-4]
                body = numbered(drawn, int(number)) if number.isdigit() else b""
                status = b"200 OK" if body else b"404 Not Found"
                top = b"HTTP/1.1 %b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
                self.transport.write(top + body)  # type: ignore[attr-defined]

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Conversation, "127.0.0.1", 0, backlog=1000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    serve(int(sys.argv[1]))
