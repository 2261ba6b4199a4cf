"""Replies as server-sent events, through gunicorn, whoever leaves and whatever fails."""

import json
import re
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from access.api_keys import hash_of
from api import ANA, PROMPT, Api, Applicant
from config import Config
from conftest import API_KEY
from db import InterviewKey, Messages, open_database
from interviews import shared_calls
from openai_api.rehearsal import FAULTS, SCRIPT, Behaviour, Rehearsal
from server import Gunicorn
from streams import HEADERS, Event, Received, Stream, reply, replying, rest_of, start, starting
from waiting import wait_until

MakeServer = Callable[..., Gunicorn]

pytestmark = pytest.mark.both_databases

ERROR = Event("error", {"error": "Failed to get response from AI"})
SUPERSEDED = "What was told is not stored, as the interview has gone on. Please read its messages."

# One to four bytes a character, and characters that only look like one.
POLYGLOT = 'Grüße, 世界! 👩‍⚕️ é — ¿Qué?\n\n"quoted" \\ \u2028\u2029\x85 : data: x\r\nend'


@pytest.fixture
def server(make_server: MakeServer) -> Gunicorn:
    """One process, in which an interview has started."""
    return started(make_server(WEB_CONCURRENCY="1", METRICS="on").start())


def started(server: Gunicorn, *people: Applicant) -> Gunicorn:
    with server.api() as api:
        for person in people or (ANA,):
            assert api.start(person).status == 200
    return server


def said(server: Gunicorn, applicant: Applicant = ANA) -> list[str]:
    with server.api() as api:
        return api.said(applicant)


def is_answered(server: Gunicorn, applicant: Applicant = ANA) -> bool:
    return len(said(server, applicant)) == 4


def lines_of(server: Gunicorn) -> list[dict[str, Any]]:
    """The streams in the server's log."""
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line.get("stream")]


def slow(*pieces: str, pace: float = 0.3) -> Behaviour:
    return Behaviour(pieces=pieces, piece_pace=pace)


class TestWords:
    def test_each_piece_arrives_before_the_next_is_sent(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = slow("Well, ", "Ana", ".", pace=0.5)
        with replying(server) as stream:
            assert stream.response.status_code == 200
            for piece in ("Well, ", "Ana"):
                assert stream.next() == Event("delta", {"content": piece})
                assert said(server) == [PROMPT, SCRIPT[0], "Hello"]
            assert stream.next() == Event("delta", {"content": "."})
            assert stream.next() == Event("done", {"system": "Well, Ana."})
            assert said(server)[2:] == ["Hello", "Well, Ana."]

    def test_a_stream_ends_with_the_plain_answer(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        mei, zoe = ANA.named("Mei"), ANA.named("Zoe")
        opening = start(server, mei)
        answer = reply(server, "Hello", mei)
        with server.api() as api:
            assert opening.last == Event("done", api.start(zoe).body)
            assert answer.last == Event("done", api.reply("Hello", zoe).body)
        assert (opening.text, answer.text) == SCRIPT[:2]
        assert len(opening.deltas) == len(SCRIPT[0].split())
        assert rehearsal.requests[-3]["stream_options"] == {"include_usage": True}
        assert "stream" not in rehearsal.requests[-1]

    def test_the_sum_of_the_pieces_is_what_is_stored(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        for count in (1, 13, len(POLYGLOT)):
            for packet in (None, 5):  # so that characters are cut between two packets
                rehearsal.default = Behaviour(
                    message={"content": POLYGLOT}, pieces=count, packet=packet
                )
                answer = reply(server)
                assert len(answer.deltas) == count
                assert answer.text == answer.last.data["system"] == POLYGLOT
                assert said(server)[-1].encode() == POLYGLOT.encode()

    def test_a_character_cut_in_two_escapes_is_one(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(pieces=("Well \ud83d", "\ude00\ud83d", "\ude01", "!"))
        answer = reply(server)
        assert answer.text == answer.last.data["system"] == said(server)[-1] == "Well 😀😁!"

    def test_the_headers_are_those_of_a_stream_and_of_every_answer(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        with replying(server) as stream:
            headers = stream.response.headers
            rest_of(stream)
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Encoding" not in headers
        (line,) = wait_until(lambda: lines_of(server))
        assert line["request_id"] == headers["X-Request-ID"]

    @pytest.mark.parametrize(
        ("accept", "is_stream"),
        [
            ("text/event-stream", True),
            ("Text/Event-Stream; charset=utf-8", True),
            ("application/json, text/event-stream", True),
            ("application/json;q=0.5, text/event-stream;q=0.9", True),
            ("application/json, text/event-stream;q=0.5", False),
            ("text/event-stream;q=0", False),
            ("*/*", False),
            ("text/*", False),
            ("application/json", False),
        ],
    )
    def test_only_who_asks_for_events_by_name_gets_them(
        self, api: Api, accept: str, is_stream: bool
    ) -> None:
        response = api.raw(
            "POST",
            "/start_interview",
            json={**ANA.fields, "prompt": PROMPT},
            headers={"Accept": accept},
        )
        mimetype = "text/event-stream" if is_stream else "application/json"
        assert (response.status_code, response.mimetype) == (200, mimetype)
        response.get_data()  # to its end: a call under way would still write while the schema goes
        response.close()

    def test_silence_is_bridged_by_comments(
        self, api: Api, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared_calls, "HEARTBEAT", 0.1)
        rehearsal.default = slow("One", "two", pace=1)
        response = api.raw(
            "POST", "/start_interview", json={**ANA.fields, "prompt": PROMPT}, headers=HEADERS
        )
        *events, end = b"".join(response.iter_encoded()).split(b"\n\n")
        assert end == b""
        comment = b": still under way"
        one, two, done = [event for event in events if event != comment]
        assert one == b'event: delta\ndata: {"content":"One"}'
        assert two == b'event: delta\ndata: {"content":"two"}'
        assert done.startswith(b"event: done\n")
        assert comment in events[events.index(one) : events.index(two)]
        response.close()


class TestSilence:
    """A model that thinks for longer than a platform's router waits for the headers."""

    def test_the_response_begins_before_the_first_word(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        answered, failed, opened, open_before = (
            ANA.named(name) for name in ("answered", "failed", "opened", "open before")
        )
        server = make_server(WEB_CONCURRENCY="1").start()
        started(server, answered, failed, open_before)
        rehearsal.misbehave("no_quota")
        assert reply(server, "Hello", open_before).status == 500
        thinking = shared_calls.HEARTBEAT + 2
        rehearsal.misbehave(replace(FAULTS["no_quota"], delay=thinking))
        rehearsal.default = Behaviour(delay=thinking, message={"content": "Well, Ana."})

        def received(stream: Stream) -> Received:
            """The whole stream, once it is seen to begin with a comment."""
            assert stream.response.status_code == 200
            rest = rest_of(stream)
            assert stream.begins_with_comment
            return rest

        def received_reply(applicant: Applicant) -> Received:
            with replying(server, "Hello", applicant) as stream:
                return received(stream)

        def received_start(applicant: Applicant) -> Received:
            with starting(server, applicant) as stream:
                return received(stream)

        asked = len(rehearsal.requests)
        with ThreadPoolExecutor() as pool:
            failure = pool.submit(received_reply, failed)
            wait_until(lambda: len(rehearsal.requests) > asked)
            answer = pool.submit(received_reply, answered)
            # A message that was open before is answered by a call of which no piece is emitted.
            whole = pool.submit(received_reply, open_before)
            starts = [pool.submit(received_start, opened) for _ in range(2)]

        assert failure.result().last == ERROR
        assert failure.result().deltas == []
        assert said(server, failed)[2:] == ["Hello"]
        assert answer.result().deltas == ["Well,", " Ana."]
        assert whole.result().deltas == ["Well, Ana."]
        for reply_received in (answer, whole):
            assert reply_received.result().last == Event("done", {"system": "Well, Ana."})
        assert said(server, answered)[2:] == ["Hello", "Well, Ana."]
        assert said(server, open_before)[2:] == ["Hello", "Well, Ana."]
        # The second start has no key: it waits for the first one's end without emitting a word.
        first, second = sorted((start.result() for start in starts), key=lambda it: it.last.name)
        assert first.deltas == ["Well,", " Ana."]
        assert first.last.name == "done"
        sentence = "Interview already started or exists for this user"
        assert second.deltas == []
        assert second.last == Event("error", {"error": sentence, "message": sentence})
        assert said(server, opened) == [PROMPT, "Well, Ana."]


class TestFailures:
    def test_what_is_known_before_the_first_word_keeps_its_status_and_its_json(
        self, make_api: Callable[..., Api], rehearsal: Rehearsal
    ) -> None:
        api = make_api(api_keys=(hash_of(API_KEY),), max_transcript_chars=1000)

        def status(path: str, body: object, **headers: str) -> int:
            keyed = {**HEADERS, "X-API-Key": API_KEY, **headers}
            answer = api.send("POST", path, data=json.dumps(body), headers=keyed)
            assert answer.body.keys() in ({"error"}, {"message"})
            return answer.status

        begin, hello = {**ANA.fields, "prompt": PROMPT}, {**ANA.fields, "message": "Hello"}
        rehearsal.misbehave("no_quota")
        assert status("/start_interview", begin) == 500
        assert status("/reply", hello) == 404
        assert status("/reply", {}) == 400
        assert status("/reply", hello, **{"X-API-Key": "wrong"}) == 401
        assert status("/reply", hello, **{"Content-Type": "text/plain"}) == 415
        headers = {"Content-Type": "application/json", "X-API-Key": API_KEY}
        api.send("POST", "/start_interview", data=json.dumps(begin), headers=headers)
        assert status("/start_interview", begin) == 400
        assert status("/reply", {**hello, "message": "a" * 999}) == 409
        for number, fault in enumerate(("refusal", "refused_key", "html", "null_content")):
            rehearsal.misbehave(fault)
            assert status("/reply", {**hello, "message": f"Hello {number}"}) == 500

    def test_a_torn_answer_is_an_error_and_not_stored_and_the_retry_is_answered(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        torn_later = {name for name, how in FAULTS.items() if how.torn_after}
        faults = torn_later - {"silent_stream"} | {"cut_off", "filtered", "unfinished"}
        people = [ANA.named(fault) for fault in sorted(faults)]
        started(server, *people)
        for person in people:
            asked = len(rehearsal.requests)
            rehearsal.misbehave(person.name)
            torn = reply(server, "Hello", person)
            assert (torn.status, torn.last) == (200, ERROR)
            assert torn.deltas
            assert said(server, person) == [PROMPT, SCRIPT[0], "Hello"]
            # Words that were told are not asked for again.
            assert len(rehearsal.requests) == asked + 1
            again = reply(server, "Hello", person)
            assert (again.text, again.last) == (SCRIPT[1], Event("done", {"system": SCRIPT[1]}))
            assert said(server, person)[2:] == ["Hello", SCRIPT[1]]
        wait_until(lambda: len(lines_of(server)) == 2 * len(people))
        assert [line["stream"] for line in lines_of(server)] == ["error", "done"] * len(people)

    def test_a_stream_that_tears_before_a_word_is_asked_for_again(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave(Behaviour(torn_after=0))
        assert reply(server).text == SCRIPT[1]
        assert len(rehearsal.requests) == 3

    def test_an_upstream_cut_at_any_byte_never_leaves_half_an_answer(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        people = [ANA.named(f"Ana {number}") for number in range(12)]
        with server.api() as api, ThreadPoolExecutor() as pool:
            for person in people:
                api.start(person)
            for number in range(12):
                rehearsal.misbehave(Behaviour(cut=300 + 97 * number))
            answers = list(pool.map(lambda person: reply(server, "Hello", person), people))
            for person, answer in zip(people, answers, strict=True):
                stored = api.said(person)[3:]
                assert stored in ([], [answer.text])
                assert (answer.last.name == "done") == bool(stored)

    def test_silence_in_mid_stream_ends_at_the_deadline(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = started(make_server(REPLY_DEADLINE="1.5").start())
        rehearsal.misbehave("silent_stream")
        assert reply(server).last == ERROR
        assert said(server)[2:] == ["Hello"]

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a running process")
    def test_a_disk_that_takes_no_more_at_the_end_is_an_error_with_its_sentence(
        self, server: Gunicorn, rehearsal: Rehearsal, database_path: Path
    ) -> None:
        (worker,) = server.workers()
        rehearsal.default = slow("Well, ", "Ana.", pace=0.5)
        with replying(server) as stream:
            stream.next()
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
            answer = rest_of(stream)
        assert answer.last.name == "error"
        assert "The database is not available" in answer.last.data["error"]
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        assert said(server)[2:] == ["Hello"]
        assert reply(server).last.name == "done"


class TestClients:
    def test_one_that_leaves_at_any_piece_finds_the_whole_answer_stored(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        people = [ANA.named(f"Ana {number}") for number in range(1, 6)]
        server = started(make_server().start(), *people)
        rehearsal.default = slow("One ", "two ", "three ", "four ", "five.", pace=0.2)

        def leave_after(number: int) -> None:
            with replying(server, "Hello", people[number - 1]) as stream:
                for _ in range(number):
                    assert stream.next().name == "delta"

        with ThreadPoolExecutor() as pool:
            list(pool.map(leave_after, range(1, 6)))
        for person in people:
            wait_until(partial(is_answered, server, person))
            assert said(server, person)[-1] == "One two three four five."
        lines = wait_until(lambda: lines_of(server) if len(lines_of(server)) == 5 else [])
        assert {line["tokens_out"] > 0 for line in lines} == {True}
        assert "left" in {line["stream"] for line in lines}

    def test_one_that_leaves_and_retries_joins(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = slow("One ", "two ", "three ", "four ", "five.")
        with replying(server, key="k") as stream:
            assert [stream.next().data["content"] for _ in range(2)] == ["One ", "two "]
        with replying(server, key="k") as retried, replying(server) as joined:
            # What has been said so far comes at once: the rest is not said yet.
            assert [retried.next().data["content"] for _ in range(2)] == ["One ", "two "]
            assert len(said(server)) == 3
            whole = "One two three four five."
            assert rest_of(retried).text == "three four five."
            assert rest_of(joined).text == whole
        assert said(server)[2:] == ["Hello", whole]
        assert len(rehearsal.requests) == 2
        # Long after, too.
        after = reply(server, key="k")
        assert (after.deltas, after.last) == ([whole], Event("done", {"system": whole}))
        assert len(rehearsal.requests) == 2

    def test_plain_and_streamed_ones_share_a_call(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        with server.api() as api, ThreadPoolExecutor() as pool:
            rehearsal.default = slow("One ", "two.", pace=0.5)
            with replying(server) as stream:
                stream.next()
                assert api.reply("Hello").body == {"system": "One two."}
                assert rest_of(stream).text == "two."
            rehearsal.default = Behaviour(delay=0.7, message={"content": "As a whole."})
            plain = pool.submit(api.reply, "And now?")
            wait_until(lambda: len(rehearsal.requests) == 3)
            answer = reply(server, "And now?")
            assert answer.deltas == ["As a whole."]
            assert answer.last.data == plain.result().body
        assert len(rehearsal.requests) == 3

    def test_one_that_stops_reading_holds_up_nobody(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = started(make_server(WEB_CONCURRENCY="1", CLIENT_TIMEOUT="1").start())
        text = "ä" * 4_000_000
        rehearsal.default = Behaviour(message={"content": text}, pieces=40, piece_pace=0.01)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            body = json.dumps({**ANA.fields, "message": "Hello"})
            head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            head += f"Host: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(f"POST /reply HTTP/1.1\r\n{head}{body}".encode())
            wait_until(lambda: len(rehearsal.requests) == 2)
            joined = reply(server)  # who reads is not kept waiting
            assert joined.text == joined.last.data["system"] == text
            (line,) = wait_until(
                lambda: [line for line in lines_of(server) if line["stream"] == "left"]
            )
            assert line["tokens_out"] > 0
        assert said(server)[-1] == text
        assert "Socket error (TimeoutError)" in server.log.read_text()

    def test_a_stream_takes_a_place_until_its_call_has_ended(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = make_server(WEB_CONCURRENCY="1", MAX_MODEL_CALLS="1", METRICS="on").start()
        mei = ANA.named("Mei")
        started(server, ANA, mei)
        rehearsal.default = slow("One ", "two ", "three ", "four.")
        with replying(server) as stream:
            stream.next()
            refused = reply(server, applicant=mei)
            assert (refused.status, refused.last.data.keys()) == (503, {"error"})
        assert len(said(server)) == 3  # the client has left, the call goes on
        assert reply(server, applicant=mei).status == 503
        wait_until(lambda: len(said(server)) == 4)
        assert reply(server, applicant=mei).last.name == "done"
        figures = httpx2.get(f"http://127.0.0.1:{server.port}/metrics").text
        assert re.search(r"^tukma_turns_under_way 0\.0$", figures, re.MULTILINE)
        assert 'tukma_requests_total{method="POST",route="/reply",status="503"} 2.0' in figures
        assert 'tukma_requests_total{method="POST",route="/reply",status="200"} 2.0' in figures
        assert 'tukma_waiting_seconds_count{method="POST",route="/reply"} 2.0' in figures


class TestTurns:
    def test_a_message_joined_meanwhile_supersedes_what_was_told(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave(slow("Only ", "the ", "first.", pace=0.4))
        rehearsal.default = Behaviour(echo=True)
        with replying(server, "First.") as stream:
            assert stream.next().data == {"content": "Only "}
            second = reply(server, "Second.")
            first = rest_of(stream)
        both = "You said: First.\n\nSecond."
        assert second.text == second.last.data["system"] == both
        assert first.last == Event("error", {"error": SUPERSEDED})
        assert said(server)[2:] == ["First.\n\nSecond.", both]

    def test_of_many_starts_at_once_one_is_streamed(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = make_server(WEB_CONCURRENCY="1").start()
        rehearsal.default = slow("Hello, ", "Ana.", pace=0.7)
        with ThreadPoolExecutor(8) as pool:
            starts = list(pool.map(lambda _: start(server), range(8)))
        assert sorted(start.status for start in starts) == [200] + [400] * 7
        (one,) = [start for start in starts if start.status == 200]
        assert one.deltas == ["Hello, ", "Ana."]
        assert len(rehearsal.requests) == 1

    def test_a_start_retried_with_its_key_joins(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = make_server(WEB_CONCURRENCY="1").start()
        rehearsal.default = slow("Hello, ", "Ana.", pace=0.7)
        with starting(server, key="k") as stream:
            assert stream.next().data == {"content": "Hello, "}
        again = start(server, key="k")
        assert again.deltas == ["Hello, ", "Ana."]
        assert again.last.data == {"status": "Interview has started", "system": "Hello, Ana."}
        assert len(rehearsal.requests) == 1


@pytest.fixture
def two_servers(make_server: MakeServer) -> Iterator[tuple[Gunicorn, Gunicorn]]:
    """Two processes that share nothing but the database."""
    one, other = (make_server(WEB_CONCURRENCY="1") for _ in range(2))
    one.spawn()
    other.spawn()
    yield started(one.answering()), other.answering()


class TestProcesses:
    def test_a_retry_in_another_process_gets_the_whole_answer_that_was_stored(
        self, two_servers: tuple[Gunicorn, Gunicorn], rehearsal: Rehearsal
    ) -> None:
        one, other = two_servers
        rehearsal.misbehave(
            slow("The ", "first.", pace=0.6),
            Behaviour(delay=1.2, message={"content": "Too late."}),
        )
        with replying(one, key="k") as stream:
            stream.next()
            # Its own call ends later: no word of that is told.
            retried = reply(other, key="k")
            assert rest_of(stream).last.data == {"system": "The first."}
        assert retried.deltas == ["The first."]
        assert retried.last == Event("done", {"system": "The first."})
        assert said(other)[2:] == ["Hello", "The first."]
        assert len(rehearsal.requests) == 3

    def test_a_stream_overtaken_by_another_process_says_so(
        self, two_servers: tuple[Gunicorn, Gunicorn], rehearsal: Rehearsal
    ) -> None:
        one, other = two_servers
        rehearsal.misbehave(slow("The ", "slow one.", pace=1))
        with replying(one) as stream:
            assert stream.next().data == {"content": "The "}
            assert reply(other).deltas == [SCRIPT[1]]
            slower = rest_of(stream)
        assert slower.last == Event("error", {"error": SUPERSEDED})
        assert said(one)[2:] == ["Hello", SCRIPT[1]]

    def test_retries_across_two_workers_all_hear_what_is_stored(
        self, make_server: MakeServer, rehearsal: Rehearsal
    ) -> None:
        server = started(make_server(WEB_CONCURRENCY="2").start())
        rehearsal.default = Behaviour(delay=1.5, message={"content": "Too late."})
        rehearsal.misbehave(slow("The ", "first.", pace=0.8))
        with replying(server, key="k") as stream, ThreadPoolExecutor(12) as pool:
            stream.next()
            retries = list(pool.map(lambda _: reply(server, key="k"), range(12)))
        assert {(retry.text, retry.last.data["system"]) for retry in retries} == {
            ("The first.", "The first.")
        }
        assert said(server)[2:] == ["Hello", "The first."]
        assert len(rehearsal.requests) <= 3  # one for the start, one a worker

    def test_killed_in_mid_stream_it_goes_on_with_the_next_request(
        self, server: Gunicorn, rehearsal: Rehearsal
    ) -> None:
        rehearsal.misbehave(slow("One ", "two ", "three."))
        with suppress(httpx2.TransportError), replying(server) as stream:
            assert stream.next().name == "delta"
            server.kill()
            raise AssertionError(rest_of(stream))
        server.start()
        assert said(server) == [PROMPT, SCRIPT[0], "Hello"]
        answer = reply(server, "Are you there?")
        assert answer.text == SCRIPT[1]
        assert said(server)[2:] == ["Hello\n\nAre you there?", SCRIPT[1]]

    def test_a_stop_waits_for_streams_and_for_answers_nobody_listens_to(
        self, make_server: MakeServer, rehearsal: Rehearsal, config: Config
    ) -> None:
        mei = ANA.named("Mei")
        server = started(make_server().start(), ANA, mei)
        rehearsal.default = slow("One ", "two ", "three ", "four ", "five.", pace=0.5)
        with replying(server, applicant=mei) as left:
            left.next()
        with replying(server) as stream:
            stream.next()
            server.terminate()
            assert rest_of(stream).last == Event("done", {"system": "One two three four five."})
        assert server.wait() == 0
        database = open_database(config)
        with database.reading() as session:
            messages = Messages(session)
            for person in (ANA, mei):
                stored = messages.of(InterviewKey(*person.fields.values()))
                assert [message.content for message in stored][2:] == [
                    "Hello",
                    "One two three four five.",
                ]
        database.close()
