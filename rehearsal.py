"""A scripted interviewer that speaks the OpenAI chat completions protocol on loopback.

For a first try without a key, for the tests and for measuring: it answers at once, costs nothing,
says the same each time, and misbehaves when it is told to. `python rehearsal.py --help` starts it
by itself.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

# What is said to the applicant's nth message; the first is the opening, the last the closing.
SCRIPT = (
    "Hello, and thank you for coming. This is a rehearsal: the questions are written down"
    " beforehand, and no AI is asked. To begin with, please tell me a little about yourself.",
    "What piece of work are you most proud of, and what was your own part in it?",
    "Tell me about something that went wrong. What did you do then?",
    "How do you like to work with other people?",
    "What would you like to know from us?",
    "That was my last question. Thank you for your time and insights.",
)

# Bytes of a request's head.
MAX_REQUEST_BYTES = 65_536

# Requests that are kept to be looked at.
KEPT_REQUESTS = 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class Behaviour:
    """How a request is answered. The default is well: at once, whole, by the script."""

    delay: float = 0.0
    """Seconds before the first byte."""

    pace: float = 0.0
    """Seconds between two bytes; 0: all at once."""

    cut: int | None = None
    """Bytes of the response after which the connection is closed; None: none."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    body: str | None = None
    """The body as it is; None: a completion, or with an error's status `error`."""

    error: tuple[str, str | None] = ("server_error", None)
    """Type and code of an error's body."""

    echo: bool = False
    """Answer with what the applicant said last, in full, and not by the script."""

    message: Json = field(default_factory=dict)
    """What differs in the completion's message."""

    finish_reason: str | None = "stop"


FAULTS: dict[str, Behaviour] = {
    "silence": Behaviour(delay=86_400),
    "drip": Behaviour(pace=0.2),
    "hang_up": Behaviour(cut=0),
    "torn": Behaviour(cut=200),
    "rate_limit": Behaviour(status=429, error=("requests", "rate_limit_exceeded")),
    "rate_limit_for_long": Behaviour(
        status=429, headers={"Retry-After": "60"}, error=("requests", "rate_limit_exceeded")
    ),
    "no_quota": Behaviour(status=429, error=("insufficient_quota", "insufficient_quota")),
    "refused_key": Behaviour(status=401, error=("invalid_request_error", "invalid_api_key")),
    "no_such_model": Behaviour(status=404, error=("invalid_request_error", "model_not_found")),
    "overloaded": Behaviour(status=503),
    "redirect": Behaviour(status=307, headers={"Location": "/v1/elsewhere"}),
    "broken_json": Behaviour(body='{"choices": ['),
    "html": Behaviour(headers={"Content-Type": "text/html"}, body="<h1>Welcome</h1>"),
    "empty_object": Behaviour(body="{}"),
    "list": Behaviour(body="[]"),
    "null": Behaviour(body="null"),
    "no_choices": Behaviour(body='{"choices": []}'),
    "odd_types": Behaviour(body='{"choices": [{"message": 5, "finish_reason": {}}]}'),
    "no_message": Behaviour(body='{"choices": [{"finish_reason": "stop"}]}'),
    "null_content": Behaviour(message={"content": None}),
    "list_content": Behaviour(message={"content": ["Hello"]}),
    "blank": Behaviour(message={"content": " \n"}),
    "nul": Behaviour(message={"content": "Hello\0"}),
    "half_character": Behaviour(message={"content": "Hello \ud83d"}),
    "cut_off": Behaviour(finish_reason="length"),
    "filtered": Behaviour(finish_reason="content_filter"),
    "unfinished": Behaviour(finish_reason=None),
    "refusal": Behaviour(message={"content": None, "refusal": "I cannot help with that."}),
    "refusal_with_text": Behaviour(message={"refusal": "I cannot help with that."}),
}


class Rehearsal:
    """The server, in a thread of its own.

    `requests` holds the bodies of the latest chat completions asked for, `keys` the API keys that
    came with them, `gone` the models that are to be unknown, `default` how requests are answered.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: deque[Json] = deque(maxlen=KEPT_REQUESTS)
        self.keys: deque[str] = deque(maxlen=KEPT_REQUESTS)
        self.gone: set[str] = set()
        self.default = Behaviour()
        self._next: deque[Behaviour] = deque()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._thread = Thread(target=self._run, daemon=True, name="rehearsal")

    @property
    def url(self) -> str:
        """What `OPENAI_BASE_URL` must be."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def start(self) -> "Rehearsal":
        """Begin to answer."""
        server = asyncio.start_server(self._serve, sock=self._listener, limit=MAX_REQUEST_BYTES)
        self._loop.run_until_complete(server)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer no more; whoever waits for an answer is hung up on."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._listener.close()

    def misbehave(self, *faults: str | Behaviour) -> None:
        """Answer the next requests so, each by one of the faults, and well after that."""
        self._next.extend(FAULTS[fault] if isinstance(fault, str) else fault for fault in faults)

    def behave(self) -> None:
        """Answer well from now on, whatever `misbehave` has asked for."""
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
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the rehearsal is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and tell whether the connection can serve another."""
        request_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        authorization = next((line for line in lines if line.lower().startswith("auth")), "")
        behaviour, text = self._prepare(request_line, authorization.split(" ")[-1], body)
        response = _response(behaviour, text)[: behaviour.cut]
        await asyncio.sleep(behaviour.delay)
        if behaviour.pace:
            for byte in response:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(behaviour.pace)
        else:
            writer.write(response)
            await writer.drain()
        return behaviour.cut is None

    def _prepare(self, request_line: str, key: str, body: bytes) -> tuple[Behaviour, str]:
        """Return how to answer, and with which text."""
        if not request_line.startswith("POST /v1/chat/completions "):
            return Behaviour(status=404, error=("not_found", None)), "no such path"
        try:
            request = json.loads(body)
            conversation = [(said["role"], said["content"]) for said in request["messages"]]
            model = request["model"]
        except (ValueError, LookupError, TypeError) as error:
            return Behaviour(status=400, error=("invalid_request_error", None)), repr(error)
        self.requests.append(request)
        self.keys.append(key)
        behaviour = self._next.popleft() if self._next else self.default
        if model in self.gone:
            behaviour = FAULTS["no_such_model"]
        if behaviour.status != 200:
            # What a careless provider could say.
            told = f"The key {key} and the message {conversation[-1][1]!r} are no good."
            return behaviour, told
        said_so_far = sum(role == "user" for role, _ in conversation)
        answer = SCRIPT[min(said_so_far, len(SCRIPT) - 1)]
        if behaviour.echo:
            answer = f"You said: {conversation[-1][1]}"
        return behaviour, json.dumps(_completion(model, conversation, answer, behaviour))


def _response(behaviour: Behaviour, text: str) -> bytes:
    body = text if behaviour.body is None else behaviour.body
    if behaviour.body is None and behaviour.status != 200:
        kind, code = behaviour.error
        body = json.dumps({"error": {"message": text, "type": kind, "param": None, "code": code}})
    content = body.encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **behaviour.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {behaviour.status} Rehearsed\r\n{head}\r\n".encode() + content


def _completion(
    model: str, conversation: list[tuple[str, str]], answer: str, behaviour: Behaviour
) -> Json:
    # About four characters a token.
    prompt_tokens = sum(len(content) for _, content in conversation) // 4
    completion_tokens = len(answer) // 4
    return {
        "id": "chatcmpl-rehearsal",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": answer,
                    "refusal": None,
                    **behaviour.message,
                },
                "finish_reason": behaviour.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def stand_in_for_openai() -> None:
    """Start a rehearsal, say so, and let this process and its children take it for OpenAI."""
    rehearsal = Rehearsal().start()
    os.environ["OPENAI_API_KEY"] = "rehearsal"
    os.environ["OPENAI_BASE_URL"] = rehearsal.url
    print(
        "There is no OPENAI_API_KEY: a REHEARSAL interviewer answers, from a script, without AI.\n"
        "Put your key into .env to let OpenAI answer.",
        flush=True,
    )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A scripted stand-in for the OpenAI API.")
    parser.add_argument("--port", type=int, default=8001, help="on 127.0.0.1 (default: 8001)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="answer everything so")
    options = parser.parse_args()

    rehearsal = Rehearsal(options.port)
    rehearsal.default = FAULTS[options.fault] if options.fault else Behaviour(delay=options.delay)
    rehearsal.start()
    print(f"OPENAI_BASE_URL={rehearsal.url}", flush=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
