"""The load: applicants who reply all at once, or as many a second as a schedule says.

At once: each has a connection and waits for its answer before it goes on, for some seconds, at
least for one turn. By `--rate`: each reply is sent when it is due, over whichever connection is
idle, however slowly the others are answered; its latency counts from when it was due.

Raw HTTP over asyncio, in a process of its own: what it takes of a core is in its result. Prints
JSON: `replies`, `errors`, `seconds`, `median`, `p95` and `longest` of a reply in seconds, `cpu` in
seconds, `late`, the p95 of the seconds by which replies by rate were sent after they were due, and
`pieces` of all streams. A stream counts as an error if its pieces are not its answer.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from itertools import cycle

from bench.applicants import TURN

# Of a load by rate. In the first seconds connections are opened: latencies do not count. Who gets
# no answer within `PATIENCE` gives up, which is an error and counts as long.
WARM_UP = 1.5
PATIENCE = 5.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(path: str, accept: str = "application/json", **body: str) -> bytes:
    """Return a request, head and body."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    head += f"Accept: {accept}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> bool:
    """Send a request, and return whether it was answered with 200."""
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
    """The requests of a number of applicants, and what came of them."""

    def __init__(self, port: int, label: str, seconds: float, each: int) -> None:
        self._port = port
        self._label = label
        self._seconds = seconds
        self._each = each
        self._idle: deque[Connection] = deque()
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.errors = 0
        self.pieces = 0

    async def run(self, connections: int, *, starts: bool, streams: bool) -> None:
        """Let them all begin at once."""
        end = time.perf_counter() + self._seconds
        await asyncio.gather(
            *(self._one(number, end, starts, streams) for number in range(connections))
        )

    async def run_at_rate(self, connections: int, rate: float) -> None:
        """Send replies at the rate, by all applicants of so many connections in turn."""
        requests = cycle(
            request("/reply", **applicant, message=TURN)
            for each in zip(*map(self._applicants, range(connections)), strict=True)
            for applicant in each
        )
        began = time.perf_counter()
        async with asyncio.TaskGroup() as replies:
            for number in range(int(rate * self._seconds)):
                due = began + number / rate
                await asyncio.sleep(due - time.perf_counter())
                self.late.append(time.perf_counter() - due)
                replies.create_task(self._reply(next(requests), due, counts=due - began >= WARM_UP))
        for _, writer in self._idle:
            writer.close()

    async def _reply(self, content: bytes, due: float, *, counts: bool) -> None:
        # The one that is idle the longest: a server may close what is idle for seconds.
        connection = self._idle.popleft() if self._idle else None
        is_good = False
        try:
            async with asyncio.timeout(PATIENCE):
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self._port)
                is_good = await send(*connection, content)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            pass
        if is_good and connection:
            self._idle.append(connection)
        elif connection:
            connection[1].close()
        self.errors += not is_good
        if counts:
            self.latencies.append(time.perf_counter() - due if is_good else PATIENCE)

    def _applicants(self, connection: int) -> list[dict[str, str]]:
        """Return the applicants that one connection has started, or will start."""
        names = [f"{self._label} {connection} {each}" for each in range(self._each)]
        return [{"accessKey": "bench", "name": name, "email": "a@example.com"} for name in names]

    async def _one(self, number: int, end: float, starts: bool, streams: bool) -> None:
        """One connection, over which its applicants take turns, so that no interview grows long."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        who = self._applicants(number)
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
    parser.add_argument("--rate", type=float)
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()

    load = Load(options.port, options.label, options.seconds, options.each)
    began, cpu = time.perf_counter(), time.process_time()
    if options.rate is not None:
        asyncio.run(load.run_at_rate(options.connections, options.rate))
    else:
        asyncio.run(load.run(options.connections, starts=options.start, streams=options.stream))
    ordered, late = sorted(load.latencies) or [0.0], sorted(load.late) or [0.0]
    json.dump(
        {
            "replies": len(load.latencies),
            "errors": load.errors,
            "seconds": time.perf_counter() - began,
            "median": ordered[len(ordered) // 2],
            "p95": ordered[int(len(ordered) * 0.95)],
            "longest": ordered[-1],
            "late": late[int(len(late) * 0.95)],
            "pieces": load.pieces,
            "cpu": time.process_time() - cpu,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
