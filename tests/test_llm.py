"""The model's wrapper against a provider that does everything wrong, over real HTTP."""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

import pytest

from config import Config, Model
from conftest import API_KEY
from llm import LLM, ChatMessage, Completion, LLMError
from openai_api.deadline import MAX_RESPONSE_BYTES
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal

CONVERSATION: list[ChatMessage] = [{"role": "system", "content": "You interview Ana-Secret."}]


@pytest.fixture
def make_llm(config: Config) -> Iterator[Callable[..., LLM]]:
    llms = []

    def make(**settings: object) -> LLM:
        llms.append(LLM(replace(config, **settings)))  # type: ignore[arg-type]
        return llms[-1]

    yield make
    for llm in llms:
        llm.close()


def ask(llm: LLM, seconds: float = 30) -> str:
    return llm.answer(CONVERSATION, time.monotonic() + seconds)


def failure(llm: LLM, seconds: float = 30) -> LLMError:
    with pytest.raises(LLMError) as caught:
        ask(llm, seconds)
    return caught.value


def ask_for_pieces(llm: LLM, seconds: float = 30) -> tuple[list[str], str | LLMError]:
    """The pieces, and the answer or why there is none."""
    pieces: list[str] = []
    try:
        return pieces, llm.answer(CONVERSATION, time.monotonic() + seconds, pieces.append)
    except LLMError as error:
        return pieces, error


def test_the_whole_answer_is_returned(make_llm: Callable[..., LLM]) -> None:
    assert ask(make_llm()) == SCRIPT[0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("broken_json", "bad_answer"),
        ("html", "bad_answer"),
        ("empty_object", "bad_answer"),
        ("list", "bad_answer"),
        ("null", "bad_answer"),
        ("no_choices", "bad_answer"),
        ("odd_types", "bad_answer"),
        ("no_message", "bad_answer"),
        ("null_content", "blank"),
        ("list_content", "blank"),
        ("blank", "blank"),
        ("nul", "bad_answer"),
        ("half_character", "bad_answer"),
        ("cut_off", "not_whole"),
        ("filtered", "not_whole"),
        ("unfinished", "not_whole"),
        ("refusal", "refusal"),
        ("refusal_with_text", "refusal"),
        ("refused_key", "refused_key"),
        ("no_quota", "no_quota"),
        ("no_such_model", "no_such_model"),
        ("redirect", "provider"),
    ],
)
def test_what_another_try_cannot_mend_is_asked_once_and_is_no_answer(
    make_llm: Callable[..., LLM],
    rehearsal: Rehearsal,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    kind: str,
) -> None:
    rehearsal.misbehave(fault)
    llm = make_llm(openai_model=(Model("only"),))
    assert failure(llm).kind == kind
    assert len(rehearsal.requests) == 1
    assert kind in caplog.text
    assert ask(llm) == SCRIPT[0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("hang_up", "connection"),
        ("torn", "connection"),
        ("rate_limit", "rate_limit"),
        ("overloaded", "provider"),
    ],
)
def test_what_may_pass_is_tried_again_but_not_for_ever(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal, fault: str, kind: str
) -> None:
    llm = make_llm()
    rehearsal.misbehave(fault)
    assert ask(llm) == SCRIPT[0]
    rehearsal.misbehave(fault, fault, fault)
    assert failure(llm).kind == kind
    assert len(rehearsal.requests) == 2 + 3


def test_a_provider_that_is_not_there_is_a_failure(make_llm: Callable[..., LLM]) -> None:
    assert failure(make_llm(openai_base_url="http://127.0.0.1:9/v1")).kind == "connection"


@pytest.mark.parametrize("fault", ["silence", "drip", "rate_limit_for_long"])
def test_the_deadline_bounds_the_whole_call(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal, fault: str
) -> None:
    rehearsal.misbehave(*[fault] * 5)
    llm = make_llm()
    began = time.monotonic()
    failure(llm, seconds=1)
    # Not a measure of speed: the faults last for minutes, and no machine is this slow.
    assert time.monotonic() - began < 15
    rehearsal.behave()
    assert ask(llm) == SCRIPT[0]


def test_a_deadline_that_has_passed_asks_nothing(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    assert failure(make_llm(), seconds=-1).kind == "timeout"
    assert not rehearsal.requests


def test_a_short_retry_after_is_obeyed(make_llm: Callable[..., LLM], rehearsal: Rehearsal) -> None:
    rehearsal.misbehave(Behaviour(status=429, headers={"Retry-After": "2"}))
    began = time.monotonic()
    assert ask(make_llm()) == SCRIPT[0]
    assert time.monotonic() - began >= 2


def test_a_redirect_takes_the_conversation_nowhere_else(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    elsewhere = Rehearsal().start()
    location = f"{elsewhere.url}/chat/completions"
    rehearsal.misbehave(Behaviour(status=307, headers={"Location": location}))
    failure(make_llm())
    assert not elsewhere.requests
    elsewhere.stop()


def test_the_next_model_is_asked_when_one_does_not_exist_any_more(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    rehearsal.gone = {"old", "older"}
    llm = make_llm(openai_model=(Model("older"), Model("old"), Model("new")))
    for _ in range(2):
        assert ask(llm) == SCRIPT[0]
    # What is gone is not asked again.
    assert [request["model"] for request in rehearsal.requests] == ["older", "old", "new", "new"]
    rehearsal.gone.add("new")
    assert failure(llm).kind == "no_such_model"


def test_each_model_is_asked_with_its_own_parameters_alone(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    rehearsal.gone = {"old"}
    parameters: dict[str, str | float] = {"reasoning_effort": "none", "temperature": 0.5, "seed": 7}
    llm = make_llm(openai_model=(Model("old"), Model("new", parameters)))
    ask(llm)
    old, new = rehearsal.requests
    assert old == {"model": "old", "messages": CONVERSATION}
    assert new == {"model": "new", "messages": CONVERSATION, **parameters}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("status", [200, 500])
def test_a_response_without_end_is_no_answer_and_asked_for_once(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal, status: int, is_streamed: bool
) -> None:
    size = MAX_RESPONSE_BYTES + 1
    llm = make_llm()
    faults = [Behaviour(status=status, body="{" + " " * size)]
    if status == 200:
        faults.append(Behaviour(message={"content": "a" * size}))
    for fault in faults:
        rehearsal.requests.clear()
        rehearsal.misbehave(fault)
        error = ask_for_pieces(llm)[1] if is_streamed else failure(llm)
        assert isinstance(error, LLMError)
        assert (error.kind, error.detail) == ("bad_answer", "ResponseTooLong")
        assert len(rehearsal.requests) == 1
    assert ask(llm) == SCRIPT[0]


def test_only_a_missing_model_is_a_reason_for_the_next(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    llm = make_llm(openai_model=(Model("first"), Model("second")))
    gateway = Behaviour(
        status=404, body="<h1>Not found</h1>", headers={"Content-Type": "text/html"}
    )
    rehearsal.misbehave("cut_off", gateway)
    failure(llm)
    failure(llm)
    ask(llm)
    assert [request["model"] for request in rehearsal.requests] == ["first"] * 3


def test_a_model_is_given_up_only_if_the_provider_is_sure(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    llm = make_llm(openai_model=(Model("first"), Model("second")))
    rehearsal.misbehave(Behaviour(status=404, error=("not_found", None)))
    ask(llm)
    ask(llm)
    assert [request["model"] for request in rehearsal.requests] == ["first", "second", "first"]


class TestStream:
    def test_the_pieces_are_emitted_and_their_sum_returned(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        pieces, answer = ask_for_pieces(make_llm())
        assert "".join(pieces) == answer == SCRIPT[0]
        assert len(pieces) > 10
        assert rehearsal.requests[0]["stream"] is True

    @pytest.mark.parametrize(
        ("fault", "kind", "count"),
        [
            ("broken_json", "bad_answer", 0),
            ("html", "bad_answer", 0),
            ("null_content", "blank", 0),
            ("list_content", "bad_answer", 0),
            ("blank", "blank", 1),
            ("nul", "bad_answer", 0),
            ("half_character", "bad_answer", 2),
            ("cut_off", "not_whole", 31),
            ("filtered", "not_whole", 31),
            ("unfinished", "not_whole", 31),
            ("refusal", "refusal", 0),
            ("refusal_with_text", "refusal", 0),
            ("refused_key", "refused_key", 0),
            ("no_quota", "no_quota", 0),
            ("redirect", "provider", 0),
            ("torn_stream", "connection", 2),
            ("error_in_stream", "provider", 2),
            ("broken_json_in_stream", "bad_answer", 2),
            ("odd_chunk_in_stream", "bad_answer", 2),
            ("refusal_in_stream", "refusal", 2),
            ("end_of_stream_too_soon", "not_whole", 2),
        ],
    )
    def test_what_is_not_whole_is_no_answer_and_asked_for_once(
        self,
        make_llm: Callable[..., LLM],
        rehearsal: Rehearsal,
        fault: str,
        kind: str,
        count: int,
    ) -> None:
        rehearsal.misbehave(fault)
        llm = make_llm()
        pieces, error = ask_for_pieces(llm)
        assert isinstance(error, LLMError)
        assert (error.kind, len(pieces)) == (kind, count)
        assert len(rehearsal.requests) == 1
        assert ask_for_pieces(llm)[1] == SCRIPT[0]

    @pytest.mark.parametrize("fault", ["hang_up", "rate_limit", "overloaded", Behaviour(cut=300)])
    def test_before_the_first_piece_another_try_is_made(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal, fault: str | Behaviour
    ) -> None:
        rehearsal.misbehave(fault)
        pieces, answer = ask_for_pieces(make_llm())
        assert "".join(pieces) == answer == SCRIPT[0]
        assert len(rehearsal.requests) == 2

    def test_the_next_model_is_asked_when_one_does_not_exist_any_more(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        rehearsal.gone = {"old"}
        assert ask_for_pieces(make_llm(openai_model=(Model("old"), Model("new"))))[1] == SCRIPT[0]

    @pytest.mark.parametrize("fault", ["silence", "silent_stream", Behaviour(pace=0.1)])
    def test_the_deadline_bounds_the_whole_stream(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal, fault: str | Behaviour
    ) -> None:
        rehearsal.misbehave(fault)
        began = time.monotonic()
        _, error = ask_for_pieces(make_llm(), seconds=1)
        assert isinstance(error, LLMError)
        assert error.kind == "timeout"
        # Not a measure of speed: the faults last for minutes, and no machine is this slow.
        assert time.monotonic() - began < 15

    def test_a_provider_that_does_not_stream_is_one_piece(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        completion = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
        rehearsal.misbehave(Behaviour(body=json.dumps(completion)))
        assert ask_for_pieces(make_llm()) == (["Hello"], "Hello")

    def test_the_connection_is_used_again(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        llm = make_llm()
        for _ in range(5):
            ask_for_pieces(llm)
            ask(llm)
        assert rehearsal.connections == 1


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The base URL of a port on which nobody ever takes a connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            waiting.append(client)
        yield f"http://many-addresses.test:{address[1]}/v1"
        for client in waiting:
            client.close()


def test_the_deadline_bounds_connecting_to_all_addresses_together(
    make_llm: Callable[..., LLM], black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = socket.getaddrinfo

    def four(host: str, *arguments: Any, **options: Any) -> Any:
        if host != "many-addresses.test":
            return one(host, *arguments, **options)
        return one("127.0.0.1", *arguments, **options) * 4

    monkeypatch.setattr(socket, "getaddrinfo", four)
    began = time.monotonic()
    assert failure(make_llm(openai_base_url=black_hole), seconds=2).kind == "timeout"
    # Each of the four would take these two seconds by itself.
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("fault", ["refused_key", "no_quota", "no_such_model", "overloaded"])
def test_neither_key_nor_conversation_is_in_the_log(
    make_llm: Callable[..., LLM],
    rehearsal: Rehearsal,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    caplog.set_level(logging.INFO)
    rehearsal.misbehave(fault, fault, fault)
    error = failure(make_llm())
    assert rehearsal.keys[0] == API_KEY
    for text in (caplog.text, str(error), error.detail):
        assert API_KEY not in text
        assert "Ana-Secret" not in text


def test_one_client_serves_all_threads_without_a_mix_up(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    rehearsal.default = Behaviour(echo=True)
    llm = make_llm()

    def echo(number: int) -> str:
        return llm.answer([{"role": "user", "content": f"{number}"}], time.monotonic() + 30)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(echo, range(200)))
    assert answers == [f"You said: {number}" for number in range(200)]


def _echo_in_a_child(llm: LLM, name: str, answers: "SimpleQueue[tuple[str, str]]") -> None:
    for number in range(20):
        said = f"{name} {number}"
        answer = llm.answer([{"role": "user", "content": said}], time.monotonic() + 30)
        answers.put((said, answer))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_makes_a_client_of_its_own(
    make_llm: Callable[..., LLM], rehearsal: Rehearsal
) -> None:
    rehearsal.default = Behaviour(echo=True)
    llm = make_llm()
    ask(llm)
    context = get_context("fork")
    answers: SimpleQueue[tuple[str, str]] = context.SimpleQueue()
    children = [
        context.Process(target=_echo_in_a_child, args=(llm, name, answers)) for name in "AB"
    ]
    for child in children:
        child.start()
    pairs = [answers.get() for _ in range(40)]
    for child in children:
        child.join()
    assert all(answer == f"You said: {said}" for said, answer in pairs)


SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}


def ask_for_json(llm: LLM, seconds: float = 30) -> Completion:
    return llm.complete_json(CONVERSATION, "words", SCHEMA, time.monotonic() + seconds)


class TestJson:
    def test_the_schema_is_sent_and_the_answer_comes_with_all_that_the_provider_says_of_it(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        described = {
            "id": "chatcmpl-5",
            "model": "new-2026-11-01",
            "system_fingerprint": "fp_1",
            "choices": [{"message": {"content": '{"word": "é"}'}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }
        rehearsal.misbehave(Behaviour(body=json.dumps(described)))
        model = Model("new", {"temperature": 0.0, "seed": 7})
        completion = ask_for_json(make_llm(openai_model=(model,)))
        assert completion.seconds > 0
        assert completion._replace(seconds=0) == Completion(
            text='{"word": "é"}',
            finish_reason="stop",
            refusal=None,
            model_asked="new",
            model_answered="new-2026-11-01",
            parameters={"temperature": 0.0, "seed": 7},
            fingerprint="fp_1",
            response_id="chatcmpl-5",
            tokens_in=7,
            tokens_out=3,
            seconds=0,
        )
        json_schema = {"name": "words", "strict": True, "schema": SCHEMA}
        assert rehearsal.requests[0] == {
            "model": "new",
            "temperature": 0.0,
            "seed": 7,
            "messages": CONVERSATION,
            "response_format": {"type": "json_schema", "json_schema": json_schema},
        }

    @pytest.mark.parametrize(
        ("fault", "finish_reason", "refusal", "has_text"),
        [
            ("refusal", "stop", "I cannot help with that.", False),
            ("refusal_with_text", "stop", "I cannot help with that.", True),
            (Behaviour(message={"refusal": 5}), "stop", "(not a text)", True),
            ("cut_off", "length", None, True),
            ("filtered", "content_filter", None, True),
            ("unfinished", "", None, True),
            ("null_content", "stop", None, False),
            ("list_content", "stop", None, False),
        ],
    )
    def test_a_refusal_and_a_part_of_an_answer_are_returned_as_they_are(
        self,
        make_llm: Callable[..., LLM],
        rehearsal: Rehearsal,
        fault: str | Behaviour,
        finish_reason: str,
        refusal: str | None,
        has_text: bool,
    ) -> None:
        rehearsal.misbehave(fault)
        completion = ask_for_json(make_llm())
        assert (completion.finish_reason, completion.refusal) == (finish_reason, refusal)
        assert bool(completion.text) is has_text

    def test_what_the_provider_says_of_its_answer_may_be_anything(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        odd: Any = {
            "id": 5,
            "model": None,
            "system_fingerprint": "fp\0",
            "choices": [{"message": {"content": "{}"}, "finish_reason": ["stop"]}],
            "usage": {"prompt_tokens": "7", "completion_tokens": -3},
        }
        rehearsal.misbehave(Behaviour(body=json.dumps(odd)))
        completion = ask_for_json(make_llm())
        assert completion.text == "{}"
        assert (completion.finish_reason, completion.model_answered) == ("", "")
        assert (completion.response_id, completion.fingerprint) == (None, None)
        assert (completion.tokens_in, completion.tokens_out) == (0, 0)

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("broken_json", "bad_answer"),
            ("no_choices", "bad_answer"),
            ("odd_types", "bad_answer"),
            ("nul", "bad_answer"),
            ("half_character", "bad_answer"),
            (Behaviour(message={"content": None, "refusal": "No\0"}), "bad_answer"),
            ("refused_key", "refused_key"),
            ("no_quota", "no_quota"),
        ],
    )
    def test_what_is_no_answer_or_cannot_be_stored_is_a_failure(
        self,
        make_llm: Callable[..., LLM],
        rehearsal: Rehearsal,
        fault: str | Behaviour,
        kind: str,
    ) -> None:
        rehearsal.misbehave(fault)
        with pytest.raises(LLMError) as caught:
            ask_for_json(make_llm())
        assert caught.value.kind == kind
        assert len(rehearsal.requests) == 1

    def test_models_and_tries_follow_each_other_as_for_an_interviewer(
        self, make_llm: Callable[..., LLM], config: Config, rehearsal: Rehearsal
    ) -> None:
        rehearsal.gone = {"old"}
        rehearsal.misbehave("no_such_model", "overloaded")
        llm = LLM(config, (Model("old"), Model("new")))
        assert ask_for_json(llm).model_asked == "new"
        llm.close()
        assert [request["model"] for request in rehearsal.requests] == ["old", "new", "new"]

    def test_the_deadline_bounds_the_call(
        self, make_llm: Callable[..., LLM], rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave("silence")
        with pytest.raises(LLMError) as caught:
            ask_for_json(make_llm(), seconds=0.5)
        assert caught.value.kind == "timeout"
