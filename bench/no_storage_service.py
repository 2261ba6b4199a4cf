"""The same Flask, gunicorn and OpenAI client without storage: the limit of this stack.

It keeps interviews in the memory of whichever process has heard of them, and has none of the rest
(limits, deadlines, retries joined, a log, shared answers), which costs ours time.
"""

import json
import os
from collections import defaultdict
from functools import cache
from typing import Any

import httpx2
from flask import Flask, request
from openai import DefaultHttpxClient, OpenAI

Json = dict[str, Any]
Key = tuple[str, str, str]

app = Flask(__name__, static_folder=None)
histories: defaultdict[Key, list[Json]] = defaultdict(list)


@app.post("/start_interview")
def start_interview() -> Json:
    """Start an interview, and answer with the interviewer's opening."""
    body = request.get_json()
    history = histories[_key(body)] = [{"role": "system", "content": body["prompt"]}]
    return {"status": "Interview has started", "system": _answer(history)}


@app.post("/reply")
def reply() -> Json:
    """Take an applicant's message, and answer with the interviewer's."""
    body = request.get_json()
    history = histories[_key(body)]
    history.append({"role": "user", "content": body["message"]})
    return {"system": _answer(history)}


def _key(body: Json) -> Key:
    return body["accessKey"], body["name"], body["email"]


def _answer(history: list[Json]) -> str:
    """Ask the model as the service does: by the client's raw requests, with JSON that is ready."""
    response = _client(os.getpid()).post(
        "/chat/completions",
        cast_to=httpx2.Response,
        content=json.dumps({"model": "gpt-4o-mini", "messages": history}).encode(),
        options={"max_retries": 0, "headers": {"Content-Type": "application/json"}},
    )
    content: str = json.loads(response.content)["choices"][0]["message"]["content"]
    history.append({"role": "assistant", "content": content})
    return content


@cache
def _client(_pid: int) -> OpenAI:
    """Return the one client of this process: one from before a fork would be its parent's."""
    limits = httpx2.Limits(max_connections=256, max_keepalive_connections=256)
    return OpenAI(http_client=DefaultHttpxClient(follow_redirects=False, limits=limits))
