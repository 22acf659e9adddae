"""A backend as a process of its own, to be killed: `python lone_backend.py NAME` prints its port.

Each answer is one write, so that a kill never cuts an answer in two: what has begun to reach a client no proxy can take
back. Before each answer it waits a little, so that there are always requests in flight.
"""

import asyncio
import sys

WAIT_S = 0.002


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests without a body for as long as the client stays."""
    body = sys.argv[1].encode()
    response = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(WAIT_S)
            writer.write(response)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
