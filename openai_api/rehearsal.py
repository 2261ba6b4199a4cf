"""A scripted interviewer and rater that speaks OpenAI's chat completions protocol on loopback.

For a first try without a key, for the tests and for measuring: it answers at once, costs nothing,
gives the same answers each time, and misbehaves on request. `python -m openai_api.rehearsal` starts
it by itself; with `--help` it lists its options.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator
from threading import Event, Thread

from config import REHEARSAL_KEY
from openai_api.faults import FAULTS as FAULTS
from openai_api.faults import Behaviour as Behaviour
from openai_api.faults import Json, Sent, answered, failed, whole
from openai_api.rehearsed_drafts import draft
from openai_api.rehearsed_ratings import rating

# The answer to the applicant's nth message; the first is the opening, the last the closing.
SCRIPT = (
    "Hello, and thank you for coming. This is a rehearsal: the questions are written down"
    " beforehand, and no AI is asked. To begin with, please tell me a little about yourself.",
    "What piece of work are you most proud of, and what was your own part in it?",
    "Tell me about something that went wrong. What did you do then?",
    "How do you like to work with other people?",
    "What would you like to know from us?",
    "That was my last question. Thank you for your time and insights.",
)

# The name of the schema by which a request for a rating is known.
RATING = "rating"

# Bytes of a request's head.
MAX_REQUEST_BYTES = 65_536

# Seconds between two packets, so that they arrive one by one.
PACKET_PAUSE = 0.001

# Requests that are kept to be looked at.
KEPT_REQUESTS = 1000


class Rehearsal:
    """The server, in a thread of its own.

    `requests` holds the bodies of the latest requests for chat completions, `keys` their API keys.
    `gone` are the models that are to be unknown, and `default` says how requests are answered.
    `connections` counts the connections that were made.

    `GET /v1/models` lists the models of `shutdown_dates`, is answered as `listing` says and counted
    in `listings`.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: deque[Json] = deque(maxlen=KEPT_REQUESTS)
        self.keys: deque[str] = deque(maxlen=KEPT_REQUESTS)
        self.gone: set[str] = set()
        self.default = Behaviour()
        self.connections = 0
        self.shutdown_dates: dict[str, object] = {}
        self.listing = Behaviour()
        self.listings = 0
        self._next: deque[Behaviour] = deque()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        # Else a piece waits until the one before has been acknowledged, up to 40 ms.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = Thread(target=self._run, daemon=True, name="rehearsal")

    @property
    def url(self) -> str:
        """The value for `OPENAI_BASE_URL`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def start(self) -> "Rehearsal":
        """Begin to answer."""
        server = asyncio.start_server(self._serve, sock=self._listener, limit=MAX_REQUEST_BYTES)
        self._loop.run_until_complete(server)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, and close the connections of those who wait for an answer."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._listener.close()

    def misbehave(self, *faults: str | Behaviour) -> None:
        """Answer each of the next requests with one of the faults, and by `default` after that."""
        self._next.extend(FAULTS[fault] if isinstance(fault, str) else fault for fault in faults)

    def behave(self) -> None:
        """Drop the faults that `misbehave` has left."""
        self._next.clear()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the rehearsal is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and return whether the connection can serve another."""
        request_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        authorization = next((line for line in lines if line.lower().startswith("auth")), "")
        behaviour, response = self._prepare(request_line, authorization.split(" ")[-1], body)
        left = behaviour.cut
        due = self._loop.time()
        for wait, content in response:
            # A piece that is sent late, on a busy machine, makes none of the others late.
            due += wait
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await _send(writer, content[:left], behaviour)
            if left is not None:
                left -= len(content[:left])
        return behaviour.cut is None and behaviour.torn_after is None

    def _prepare(
        self, request_line: str, key: str, body: bytes
    ) -> tuple[Behaviour, Iterator[Sent]]:
        """Return how the request is answered, and what is sent."""
        if request_line.startswith("GET /v1/models "):
            return self._list_models()
        if not request_line.startswith("POST /v1/chat/completions "):
            behaviour = Behaviour(status=404, error=("not_found", None))
            return behaviour, failed(behaviour, "no such path")
        try:
            request = json.loads(body)
            conversation = [(sent["role"], sent["content"]) for sent in request["messages"]]
            model = request["model"]
        except (ValueError, LookupError, TypeError) as error:
            behaviour = Behaviour(status=400, error=("invalid_request_error", None))
            return behaviour, failed(behaviour, repr(error))
        self.requests.append(request)
        self.keys.append(key)
        behaviour = self._next.popleft() if self._next else self.default
        if model in self.gone:
            behaviour = FAULTS["no_such_model"]
        if behaviour.status != 200:
            # As a careless provider could put it.
            message = f"The key {key} and the message {conversation[-1][1]!r} are no good."
            return behaviour, failed(behaviour, message)
        answered_so_far = sum(role == "user" for role, _ in conversation)
        answer = SCRIPT[min(answered_so_far, len(SCRIPT) - 1)]
        if behaviour.echo:
            answer = f"You said: {conversation[-1][1]}"
        if (request.get("response_format") or {}).get("type") == "json_schema":
            asked = request["response_format"]["json_schema"]
            if asked["name"] == RATING:
                answer = rating(request, behaviour.rating, self.requests)
            else:
                answer = draft(asked["schema"])
        return behaviour, answered(behaviour, request, conversation, answer)

    def _list_models(self) -> tuple[Behaviour, Iterator[Sent]]:
        self.listings += 1
        behaviour = self.listing
        if behaviour.status != 200:
            return behaviour, failed(behaviour, "There is no list.")
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "o", "shutdown_date": end}
            for name, end in self.shutdown_dates.items()
        ]
        return behaviour, whole(behaviour, json.dumps({"object": "list", "data": models}))


async def _send(writer: asyncio.StreamWriter, content: bytes, behaviour: Behaviour) -> None:
    size = 1 if behaviour.pace else behaviour.packet or max(len(content), 1)
    for start in range(0, len(content), size):
        writer.write(content[start : start + size])
        await writer.drain()
        if size < len(content):
            await asyncio.sleep(behaviour.pace or PACKET_PAUSE)


def stand_in_for_openai() -> None:
    """Start a rehearsal, print a notice, and let this process and its children use it as OpenAI."""
    rehearsal = Rehearsal().start()
    os.environ["OPENAI_API_KEY"] = REHEARSAL_KEY
    os.environ["OPENAI_BASE_URL"] = rehearsal.url
    print(
        "There is no OPENAI_API_KEY: a REHEARSAL interviewer answers, from a script, without AI.\n"
        "Put your key into .env to let OpenAI answer.",
        flush=True,
    )


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    # SIGINT may be ignored: a shell has it so for what it starts in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description="A scripted stand-in for the OpenAI API.")
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default: 8001)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--pieces", type=int, default=0, help="of a stream (default: its words)")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two of them")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="answer every request with it")
    options = parser.parse_args()

    rehearsal = Rehearsal(options.port)
    well = Behaviour(delay=options.delay, pieces=options.pieces, piece_pace=options.pace)
    rehearsal.default = FAULTS[options.fault] if options.fault else well
    rehearsal.start()
    print(f"OPENAI_BASE_URL={rehearsal.url}", flush=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
