"""The end of a model: the warnings before it, and the day itself."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from threading import Barrier, Event

import pytest

from api import ANA, PROMPT, Applicant
from config import Config, Model
from openai_api import model_ends
from openai_api.client import Client
from openai_api.rehearsal import FAULTS, SCRIPT, Behaviour, Rehearsal
from server import Gunicorn
from streams import reply
from waiting import wait_until

MakeServer = Callable[..., Gunicorn]

MESSAGES = ("One", "Two", "Three", "Four", "Five")

TODAY = datetime.now(UTC)
SOON, LATER = TODAY + timedelta(days=89), TODAY + timedelta(days=91)


@pytest.fixture
def client(config: Config) -> Iterator[Client]:
    client = Client(config)
    yield client
    client.close()


def warnings(
    client: Client, caplog: pytest.LogCaptureFixture, *models: str, level: int = logging.INFO
) -> list[str]:
    """The messages that a look at the provider's list logs."""
    caplog.clear()
    caplog.set_level(level)
    model_ends.warn(client, [Model(name) for name in models])
    return [record.getMessage() for record in caplog.records if record.name == model_ends.__name__]


@pytest.mark.parametrize(
    "end",
    [
        SOON.date().isoformat(),
        SOON.isoformat(),
        SOON.strftime("%Y-%m-%dT%H:%M:%SZ"),
        int(SOON.timestamp()),
        SOON.timestamp(),
    ],
    ids=["date", "ISO with zone", "ISO with Z", "seconds", "seconds and parts"],
)
def test_an_end_within_ninety_days_is_warned_of_however_its_date_is_written(
    client: Client, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture, end: object
) -> None:
    rehearsal.shutdown_dates = {"old": end, "other": end}
    assert warnings(client, caplog, "old", "new") == [
        f"The provider ends the model old on {SOON.date()}; after that new answers."
    ]


def test_an_end_that_is_far_or_unknown_is_not_warned_of(
    client: Client, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    rehearsal.shutdown_dates = {"far": LATER.date().isoformat(), "without": None}
    assert warnings(client, caplog, "far", "without", "unlisted") == []


def test_the_warning_names_a_model_that_outlives_the_end(
    client: Client, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    past, soon = (TODAY - timedelta(days=1)).date(), SOON.date()
    rehearsal.shutdown_dates = {
        "first": soon.isoformat(),
        "earlier": past.isoformat(),
        "last": LATER.date().isoformat(),
    }
    assert warnings(client, caplog, "first", "earlier", "last") == [
        f"The provider ends the model first on {soon}; after that last answers.",
        f"The provider ends the model earlier on {past}; after that last answers.",
    ]
    assert warnings(client, caplog, "first", "earlier") == [
        f"The provider ends the model first on {soon}, and OPENAI_MODEL has none for the time after"
        " that: name its successor there.",
        f"The provider ends the model earlier on {past}, and OPENAI_MODEL has none for the time"
        " after that: name its successor there.",
    ]


@pytest.mark.parametrize(
    "end", ["", "soon", "2027-13-45", 0, True, 1e300, -1e300, 10**400, [2027], {"year": 2027}]
)
def test_a_date_that_cannot_be_read_is_no_end(
    client: Client, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture, end: object
) -> None:
    rehearsal.shutdown_dates = {"old": end}
    assert warnings(client, caplog, "old") == []


@pytest.mark.parametrize(
    "listing",
    [
        FAULTS["refused_key"],
        FAULTS["overloaded"],
        FAULTS["hang_up"],
        FAULTS["redirect"],
        FAULTS["html"],
        FAULTS["broken_json"],
        FAULTS["null"],
        FAULTS["list"],
        FAULTS["empty_object"],
        Behaviour(status=404, error=("not_found", None)),
        Behaviour(body='{"data": null}'),
        Behaviour(body='{"data": {"id": "old"}}'),
        Behaviour(body='{"data": ["old", 5, null]}'),
        Behaviour(body='{"data": [{"id": {}, "shutdown_date": 5}]}'),
        Behaviour(body="[" * 100_000),
    ],
)
def test_a_provider_without_a_list_is_no_reason_to_warn(
    client: Client, rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture, listing: Behaviour
) -> None:
    rehearsal.listing = listing
    assert warnings(client, caplog, "old") == []


@pytest.mark.parametrize("fault", ["silence", "drip"])
def test_a_provider_that_is_slow_is_given_up(
    client: Client,
    rehearsal: Rehearsal,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(model_ends, "TIMEOUT", 0.5)
    rehearsal.listing = FAULTS[fault]
    (message,) = warnings(client, caplog, "old", level=logging.DEBUG)
    assert message.startswith("The provider does not list its models: timeout")


def test_one_process_warns_at_its_start_and_after_it_the_one_in_its_place(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    rehearsal.shutdown_dates = {"gpt-4o-mini": SOON.date().isoformat()}
    server = make_server(WEB_CONCURRENCY="2").start()
    warning = f"The provider ends the model gpt-4o-mini on {SOON.date()}; after that gpt-6-luna"
    wait_until(lambda: warning in server.log.read_text())
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: server.log.read_text().count(warning) == 2)
    wait_until(lambda: len(server.workers()) == 2)
    assert rehearsal.listings == 2
    assert not rehearsal.requests


def test_a_provider_that_keeps_its_list_back_holds_up_neither_start_nor_stop(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    rehearsal.listing = FAULTS["silence"]
    server = make_server(WEB_CONCURRENCY="1").start()
    wait_until(lambda: rehearsal.listings == 1)
    with server.api() as api:
        assert api.start().status == 200
    server.terminate()
    # Its answer is still awaited, for half a minute: `wait` would give up before.
    assert server.wait() == 0


@pytest.mark.both_databases
def test_no_applicant_notices_the_day_on_which_the_first_model_ends(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    server = make_server(WEB_CONCURRENCY="2").start()
    rehearsal.default = Behaviour(delay=0.05, piece_pace=0.005)
    people = [ANA.named(f"Ana {number}") for number in range(16)]
    half_of_them = Barrier(len(people) // 2 + 1)
    model_has_ended = Event()

    def hold(person: Applicant, *, is_streamed: bool, is_ahead: bool) -> list[str]:
        """Hold an interview, whose second half comes after the model's end, if it is ahead."""
        with server.api() as api:
            opening = api.start(person)
            assert opening.status == 200
            seen = [PROMPT, opening.body["system"]]
            for message in MESSAGES:
                if is_ahead and message == "Three":
                    half_of_them.wait(30)
                    model_has_ended.wait(30)
                if is_streamed:
                    stream = reply(server, message, person)
                    assert (stream.status, stream.last.name) == (200, "done")
                    assert stream.text == stream.last.data["system"]
                    seen += [message, stream.text]
                else:
                    answer = api.reply(message, person)
                    assert answer.status == 200
                    seen += [message, answer.body["system"]]
            assert api.said(person) == seen
        return seen

    with ThreadPoolExecutor(len(people)) as pool:
        held = [
            pool.submit(hold, person, is_streamed=number % 2 == 0, is_ahead=number % 4 < 2)
            for number, person in enumerate(people)
        ]
        half_of_them.wait(30)
        before = list(rehearsal.requests)
        # The others are anywhere in their interviews.
        rehearsal.gone = {"gpt-4o-mini"}
        model_has_ended.set()
        transcripts = [interview.result() for interview in held]

    turns = zip(MESSAGES, SCRIPT[1:], strict=True)
    assert transcripts == [[PROMPT, SCRIPT[0], *chain(*turns)]] * len(people)
    assert {(asked["model"], asked.get("reasoning_effort")) for asked in before} == {
        ("gpt-4o-mini", None)
    }
    after = list(rehearsal.requests)[len(before) :]
    successors = [asked for asked in after if asked["model"] == "gpt-6-luna"]
    assert len(successors) >= len(people) // 2 * len(MESSAGES[2:])
    assert {asked["reasoning_effort"] for asked in successors} == {"none"}
    assert {asked.get("stream", False) for asked in successors} == {False, True}
    assert all("reasoning_effort" not in asked for asked in after if asked not in successors)
