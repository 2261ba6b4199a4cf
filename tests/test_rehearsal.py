"""The first try without a key, as `make run` starts it, and the rehearsal by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from api import over_http
from openai_api.rehearsal import SCRIPT, Rehearsal
from server import APP_FOLDER, development_server, free_port


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_the_development_server_rehearses_without_a_key(tmp_path: Path) -> None:
    with (
        development_server(tmp_path) as port,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        api = over_http(client)
        assert api.start().body["system"] == SCRIPT[0]
        assert api.reply("Hello").body == {"system": SCRIPT[1]}
    assert (tmp_path / "log").read_text().count("a REHEARSAL interviewer answers") == 1


def test_without_the_flag_a_key_is_needed(tmp_path: Path) -> None:
    settings = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": ""}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=APP_FOLDER,
        env=settings,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("The service cannot start. OPENAI_API_KEY is not set")


@contextmanager
def default_sigint() -> Iterator[None]:
    """Let programs that the block starts heed SIGINT, though a shell may ignore it for all of us.

    A handler is not inherited, but the ignoring is.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_rehearsal_by_itself_serves_the_clients_own_calls(stop: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, "-m", "openai_api.rehearsal", "--port", str(port)]
    with default_sigint():
        process = subprocess.Popen(command, cwd=APP_FOLDER, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{port}/v1"
        assert process.stdout.readline() == f"OPENAI_BASE_URL={url}\n"
        with OpenAI(api_key="any", base_url=url) as client:
            completion = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "system", "content": "You interview."}]
            )
            assert completion.choices[0].message.content == SCRIPT[0]
            assert completion.usage is not None
            assert completion.usage.total_tokens > 0
        process.send_signal(stop)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()  # else leaving the block waits for it for ever


def test_the_rehearsal_by_itself_lists_its_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "openai_api.rehearsal", "--help"],
        cwd=APP_FOLDER,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    for option in ("--port", "--delay", "--pieces", "--pace", "--fault"):
        assert option in done.stdout


def test_the_rehearsal_lists_models_with_the_dates_of_their_end(rehearsal: Rehearsal) -> None:
    rehearsal.shutdown_dates = {"old": "2027-01-14", "new": None}
    with OpenAI(api_key="any", base_url=rehearsal.url) as client:
        listed = {model.id: model.shutdown_date for model in client.models.list()}
    assert listed == rehearsal.shutdown_dates


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "m"}', b'{"messages": [5]}'])
def test_a_request_that_makes_no_sense_is_400(rehearsal: Rehearsal, body: bytes) -> None:
    assert httpx2.post(f"{rehearsal.url}/chat/completions", content=body).status_code == 400
    assert httpx2.post(f"{rehearsal.url}/elsewhere", content=body).status_code == 404
