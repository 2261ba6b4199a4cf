"""The OpenAI client by itself: what no service that uses it can beat.

Run as a module, it prints the seconds of processor time that the client takes for a streamed piece,
100 streams at once.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from bench.applicants import TURN

CONVERSATION = [
    {"role": "system", "content": "You interview."},
    {"role": "assistant", "content": "Welcome. Please tell me about yourself."},
    {"role": "user", "content": TURN},
]


def bare_reply(upstream: str) -> Callable[[], object]:
    """Return a call that gets an answer."""
    client = OpenAI(api_key="bench", base_url=upstream)
    body = {"model": "gpt-4o-mini", "messages": CONVERSATION}
    return lambda: client.post("/chat/completions", cast_to=ChatCompletion, body=body)


def bare_stream(upstream: str) -> Callable[[], Iterator[str]]:
    """Return a call that streams an answer."""
    client = OpenAI(api_key="bench", base_url=upstream)
    body = {
        "model": "gpt-4o-mini",
        "messages": CONVERSATION,
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    def call() -> Iterator[str]:
        with client.post(
            "/chat/completions",
            cast_to=ChatCompletionChunk,
            body=body,
            stream=True,
            stream_cls=Stream[ChatCompletionChunk],
        ) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    return call


def main() -> None:
    """Stream from the server at the URL that is the one argument."""
    call = bare_stream(sys.argv[1])
    list(call())
    with ThreadPoolExecutor(100) as pool:
        began = time.process_time()
        pieces = sum(pool.map(lambda _: len(list(call())), range(200)))
        print((time.process_time() - began) / pieces)


if __name__ == "__main__":
    main()
