"""Corrections: notes that applicants put to their own messages once the interview is over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api import ANA, Api
from config import Config
from openai_api.rehearsal import Rehearsal
from recruiting import put
from rights import correct, digest, ended, events, hold, in_database

MakeApi = Callable[..., Api]
SAID = ("I began in 2009.", "I like to work at night.")


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.both_databases
def test_a_note_stands_beside_the_message_which_stays_as_it_was_said(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    put(api)
    first, second = hold(api, rehearsal, *SAID)
    before = api.messages()
    assert all("correction" not in message for message in before)
    answer = correct(api, first["id"], "It was 2019, not 2009.")
    assert answer.status == 200
    correction = answer.body["correction"]
    assert correction["note"] == "It was 2019, not 2009."
    after = api.messages()
    noted = [message for message in after if "correction" in message]
    assert noted == [{**first, "correction": correction}]
    for message in after:
        message.pop("correction", None)
    assert after == before
    assert events(config, "message.corrected") == [
        (digest(ANA), f'{{"message_id": {first["id"]}}}')
    ]
    assert second["content"] == SAID[1]


@pytest.mark.both_databases
def test_of_several_notes_to_a_message_the_newest_counts_and_all_are_kept(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    put(api)
    first, second = hold(api, rehearsal, *SAID)
    for message, note in ((first, "one"), (second, "two"), (first, "three"), (first, "one")):
        assert correct(api, message["id"], note).status == 200
    notes = [message["correction"]["note"] for message in api.messages() if "correction" in message]
    assert notes == ["one", "two"]
    kept = in_database(config, "SELECT message_id, note FROM corrections ORDER BY number")
    ids = (first["id"], second["id"])
    assert kept == [(ids[0], "one"), (ids[1], "two"), (ids[0], "three"), (ids[0], "one")]


@pytest.mark.both_databases
def test_the_same_note_again_is_the_one_that_is_there(
    api: Api, make_api: MakeApi, rehearsal: Rehearsal, config: Config
) -> None:
    put(api)
    first, _ = hold(api, rehearsal, *SAID)
    apis = [api, make_api()]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: correct(apis[n % 2], first["id"], "once"), range(12)))
    assert {answer.status for answer in answers} == {200}
    assert in_database(config, "SELECT COUNT(*) FROM corrections") == [(1,)]


@pytest.mark.both_databases
def test_parts_that_were_joined_to_one_message_have_one_note(
    api: Api, rehearsal: Rehearsal
) -> None:
    put(api)
    assert api.start().status == 200
    from openai_api.rehearsal import FAULTS, SCRIPT, Behaviour

    rehearsal.misbehave(FAULTS["no_quota"])
    assert api.reply("First part").status == 500
    rehearsal.misbehave(Behaviour(message={"content": SCRIPT[-1]}))
    assert api.reply("Second part").status == 200
    (joined,) = [message for message in api.messages() if message["role"] == "user"]
    assert joined["content"] == "First part\n\nSecond part"
    assert correct(api, joined["id"] + 1, "to the second part").status == 404
    assert correct(api, joined["id"], "to both").status == 200
    assert api.messages()[2]["correction"]["note"] == "to both"


@pytest.mark.both_databases
def test_only_ones_own_messages_of_this_interview_take_notes(
    api: Api, rehearsal: Rehearsal
) -> None:
    put(api)
    assert correct(api, 1, "x").body["error"] == "There is no such interview."
    hold(api, rehearsal, *SAID)
    mei = ANA.named("Mei")
    (hers,) = hold(api, rehearsal, "Good evening.", applicant=mei)
    for message in api.messages():
        if message["role"] == "system":
            answer = correct(api, message["id"], "No, never.")
            assert answer.status == 409
            assert "own messages only" in answer.body["error"]
    for message_id in (hers["id"], 10**6, 2**63 - 1):
        answer = correct(api, message_id, "x")
        assert (answer.status, answer.body["error"]) == (
            404,
            "The interview has no message with this id.",
        )
    assert all("correction" not in message for message in api.messages(mei))


@pytest.mark.both_databases
def test_notes_are_taken_from_the_end_of_the_interview_until_their_time_is_over(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    put(api)
    assert api.start().status == 200
    assert api.reply(SAID[0]).status == 200
    message_id = api.messages()[2]["id"]
    answer = correct(api, message_id, "x")
    assert (answer.status, "is not over" in answer.body["error"]) == (409, True)
    mei = ANA.named("Mei")
    (said,) = hold(api, rehearsal, SAID[1], applicant=mei)
    for hours, status in ((47.9, 200), (48.1, 409)):
        ended(config, hours_ago(hours), mei)
        answer = correct(api, said["id"], f"after {hours} hours", mei)
        assert answer.status == status
    assert answer.body["error"] == "The time in which notes could be put to messages is over."
    put(api, correctionHours=49)  # the position's of now
    assert correct(api, said["id"], "in time again", mei).status == 200
    put(api, correctionHours=0)
    answer = correct(api, said["id"], "never", mei)
    assert (answer.status, answer.body["error"]) == (
        409,
        "The position takes no notes to messages.",
    )
    # What was put to a message stays there.
    assert api.messages(mei)[2]["correction"]["note"] == "in time again"


@pytest.mark.both_databases
def test_an_interview_without_a_position_takes_notes_for_two_days(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    first, _ = hold(api, rehearsal, *SAID)
    assert correct(api, first["id"], "x").status == 200
    ended(config, hours_ago(48.1))
    assert correct(api, first["id"], "y").status == 409


def test_an_interview_of_an_older_file_with_no_time_takes_none(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    first, _ = hold(api, rehearsal, *SAID)
    ended(config, "some day")
    assert correct(api, first["id"], "x").status == 409


@pytest.mark.both_databases
def test_an_interview_has_no_more_than_so_many_notes(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    put(api)
    first, second = hold(api, rehearsal, *SAID)
    in_database(
        config,
        "INSERT INTO corrections (interview, position, access_key, name, email, message_id, note,"
        " created_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199)"
        " SELECT :interview, 'p', 'job-1', :name, :email, :message_id, 'old', '2026' FROM n",
        interview=digest(ANA),
        name=ANA.name,
        email=ANA.email,
        message_id=second["id"],
    )
    assert correct(api, first["id"], "the last").status == 200
    answer = correct(api, second["id"], "one more")
    assert (answer.status, "as many notes" in answer.body["error"]) == (409, True)
    assert correct(api, first["id"], "the last").status == 200  # which is there already


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("note", ""),
        ("note", " \n"),
        ("note", "x" * 2001),
        ("note", "a\0b"),
        ("note", "\ud800"),
        ("note", 5),
        ("note", None),
        ("message_id", "3"),
        ("message_id", 0),
        ("message_id", 2**63),
        ("message_id", True),
        ("message_id", None),
    ],
)
def test_a_field_that_makes_no_sense_is_named(
    api: Api, rehearsal: Rehearsal, field: str, value: Any
) -> None:
    hold(api, rehearsal, *SAID)
    body = {**ANA.fields, "message_id": api.messages()[2]["id"], "note": "x", field: value}
    answer = api.post("/correct_message", body)
    assert answer.status == 400
    assert field in answer.body["error"]


def test_a_note_may_hold_what_a_message_may(api: Api, rehearsal: Rehearsal) -> None:
    put(api)
    first, _ = hold(api, rehearsal, *SAID)
    note = "<script>alert(1)</script> 'Ünd' \u202e \U0001f642\n\n" + "x" * 1900
    assert correct(api, first["id"], note).status == 200
    assert api.messages()[2]["correction"]["note"] == note
