"""docs/records.md, followed by hand: what applicants read, accept, ask for and correct."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from openai_api.rehearsal import SCRIPT
from server import development_server
from test_docs import examples, needs_curl, run, without_times

WHO = {"accessKey": "nurse-2026", "name": "Ana María", "email": "ana@example.com"}


def send(port: int, method: str, path: str, body: Any) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@needs_curl
def test_what_applicants_may_do_is_as_the_docs_show(tmp_path: Path) -> None:
    notice, consent, another_way, correction = examples("docs/records.md")[:4]
    with development_server(tmp_path) as port:
        send(port, "PUT", "/positions/nurse-2026", {"title": "Nurse", "prompt": "You interview."})
        told, shown = json.loads(run(notice.command, port)), json.loads(notice.output)
        assert list(shown) == list(told)
        assert told.pop("text").startswith(shown.pop("text").removesuffix(" ..."))
        assert told == shown
        for example in (consent, another_way):
            assert without_times(run(example.command, port)) == without_times(example.output)
        send(port, "POST", "/start_interview", WHO)
        for number in range(len(SCRIPT) - 1):
            send(port, "POST", "/reply", {**WHO, "message": f"Answer {number}"})
        output = run(correction.command, port)
        assert without_times(output) == without_times(correction.output)
