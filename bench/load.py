"""The load: applicants on connections of their own, each waiting for its answer before it goes on.

They go on for some seconds, at least for one turn each. Raw HTTP over asyncio, in a process of its
own: what it takes of a core is in its result. Prints JSON: `replies`, `errors`, `seconds`,
`median`, `p95` and `longest` of a reply in seconds, `cpu` in seconds, `pieces` of all streams. A
stream counts as an error if its pieces are not its answer.
"""

import argparse
import asyncio
import json
import sys
import time
from itertools import cycle

TURN = "I have worked in intensive care for eight years, the last three as head of a team."


def request(path: str, accept: str = "application/json", **body: str) -> bytes:
    """Return a request, head and body."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    head += f"Accept: {accept}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> bool:
    """Send a request, and tell whether it was answered with 200."""
    writer.write(content)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return head.startswith(b"http/1.1 200")


async def stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes
) -> int | None:
    """Send a request, and return how many pieces make the answer; None if they do not."""
    writer.write(content)
    await reader.readuntil(b"\r\n\r\n")
    events = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        events += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    *deltas, last = [
        json.loads(event.split(b"\ndata: ")[1])
        for event in events.split(b"\n\n")
        if event.startswith(b"event: ")
    ]
    is_whole = "".join(delta["content"] for delta in deltas) == last.get("system")
    return len(deltas) if is_whole else None


class Load:
    """What a number of applicants at once experience."""

    def __init__(self, port: int, label: str, seconds: float, each: int) -> None:
        self._port = port
        self._label = label
        self._seconds = seconds
        self._each = each
        self.latencies: list[float] = []
        self.errors = 0
        self.pieces = 0

    async def run(self, connections: int, *, starts: bool, streams: bool) -> None:
        """Let them all begin at once."""
        end = time.perf_counter() + self._seconds
        await asyncio.gather(
            *(self._one(number, end, starts, streams) for number in range(connections))
        )

    async def _one(self, number: int, end: float, starts: bool, streams: bool) -> None:
        """One connection, over which its applicants take turns, so that no interview grows long."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        names = [f"{self._label} {number} {each}" for each in range(self._each)]
        who = [{"accessKey": "bench", "name": name, "email": "a@example.com"} for name in names]
        if starts:
            requests = [request("/start_interview", **one, prompt="You interview.") for one in who]
            for content in requests:
                self.errors += not await send(reader, writer, content)
        else:
            accept = "text/event-stream" if streams else "application/json"
            requests = [request("/reply", accept, **one, message=TURN) for one in who]
            for content in cycle(requests):
                began = time.perf_counter()
                if streams:
                    pieces = await stream(reader, writer, content)
                    self.pieces += pieces or 0
                    is_good = pieces is not None
                else:
                    is_good = await send(reader, writer, content)
                if is_good:
                    self.latencies.append(time.perf_counter() - began)
                else:
                    self.errors += 1
                if time.perf_counter() >= end:
                    break
        writer.close()


def main() -> None:
    """Run, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()

    load = Load(options.port, options.label, options.seconds, options.each)
    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(load.run(options.connections, starts=options.start, streams=options.stream))
    ordered = sorted(load.latencies) or [0.0]
    json.dump(
        {
            "replies": len(load.latencies),
            "errors": load.errors,
            "seconds": time.perf_counter() - began,
            "median": ordered[len(ordered) // 2],
            "p95": ordered[int(len(ordered) * 0.95)],
            "longest": ordered[-1],
            "pieces": load.pieces,
            "cpu": time.process_time() - cpu,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
