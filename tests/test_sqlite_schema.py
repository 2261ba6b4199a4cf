"""Files of the service before this one, and of versions to come."""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api import ANA, PROMPT, Api, Applicant
from config import Config, StartError
from db import Messages, TokenRevocations, open_database
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from storage.sqlite.schema import SCHEMA_VERSION
from storage.tables import TABLES, TABLES_OF_RECORDS, TABLES_OF_ROOMS

OLD_TABLE = """
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        content TEXT NOT NULL,
        date_created TIMESTAMP NOT NULL,
        role TEXT NOT NULL,
        access_key TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL
    )
"""
CLOSING = "Thank you for your time and insights, Ana."

WriteOld = Callable[..., None]


@pytest.fixture(params=[False, True], ids=["older", "newer"])
def write_old(request: pytest.FixtureRequest, database_path: Path) -> WriteOld:
    """Write interviews into a file as the service before this one did."""

    def write(
        *rows: tuple[str, str], applicant: Applicant = ANA, date: str = "2025-04-06 12:00:00.123456"
    ) -> None:
        database_path.parent.mkdir(exist_ok=True)
        with sqlite3.connect(database_path) as connection:
            has_table = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            if not has_table:
                connection.execute(OLD_TABLE)
                if request.param:
                    connection.execute(
                        "ALTER TABLE messages ADD COLUMN is_finished INTEGER NOT NULL DEFAULT 0"
                    )
            for role, content in rows:
                values = [content, date, role, *applicant.fields.values()]
                columns = "content, date_created, role, access_key, name, email"
                if request.param:
                    # What that service called finished is not to be relied on.
                    columns += ", is_finished"
                    values.append("1" if "insights" in content else "0")
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO messages ({columns}) VALUES ({marks})", values)
        connection.close()

    return write


def test_an_old_interview_is_read_and_goes_on(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."), ("user", "Hi."), ("system", "So?"))
    api = make_api()
    assert api.said() == [PROMPT, "Welcome.", "Hi.", "So?"]
    assert api.status() == "started"
    assert api.start().status == 400
    assert api.reply("I am Ana.").status == 200
    assert api.said()[:5] == [PROMPT, "Welcome.", "Hi.", "So?", "I am Ana."]
    assert [message["role"] for message in rehearsal.requests[-1]["messages"]] == [
        "system",
        "assistant",
        "user",
        "assistant",
        "user",
    ]


def test_an_old_interview_with_a_prompt_alone_can_be_started(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("system", "The old prompt"))
    api = make_api()
    assert api.status() == "uninitiated"
    assert api.said() == ["The old prompt"]
    assert api.reply("Hello?").status == 404
    rehearsal.misbehave("cut_off")
    assert api.start().status == 500
    assert api.said() == ["The old prompt"]
    assert api.start(key="k").status == 200
    assert api.start(key="k").body["system"] == SCRIPT[0]
    assert api.said() == [PROMPT, SCRIPT[0]]
    assert api.reply("Hello").status == 200
    assert len(api.get("/get_applicants/job-1").body["applicants"]) == 1


def test_two_old_messages_of_the_applicant_in_a_row_are_one(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(
        *(("system", PROMPT), ("system", "Welcome.")),
        *(("user", "Hi."), ("user", "Are you there?"), ("system", "Yes.")),
        *(("user", "Good."), ("user", "Good.")),
    )
    api = make_api()
    assert api.said() == [PROMPT, "Welcome.", "Hi.\n\nAre you there?", "Yes.", "Good."]
    assert api.reply("Good.").status == 200
    assert api.said()[4:] == ["Good.", SCRIPT[2]]
    assert rehearsal.requests[-1]["messages"][2]["content"] == "Hi.\n\nAre you there?"


def test_two_old_messages_of_the_interviewer_in_a_row_are_one(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."), ("user", "Hi."), ("user", "Hi."))
    write_old(("system", "Hello."), ("system", "So?"), ("user", "Yes."))
    assert make_api().said() == [PROMPT, "Welcome.", "Hi.", "Hello.\n\nSo?", "Yes."]


def test_old_words_without_a_prompt_are_kept_and_the_interview_can_be_started(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("user", "Hello?"), ("user", "Anybody?"))
    api = make_api()
    assert api.status() == "uninitiated"
    assert api.said() == ["", "", "Hello?\n\nAnybody?"]
    assert api.reply("Hello?").status == 404
    assert api.start().status == 200
    assert api.status() == "started"
    assert api.said() == [PROMPT, SCRIPT[0], "Hello?\n\nAnybody?"]
    assert api.reply("It is me.").status == 200
    assert api.said() == [PROMPT, SCRIPT[0], "Hello?\n\nAnybody?\n\nIt is me.", SCRIPT[1]]


def test_old_words_after_a_start_that_failed_are_kept_in_their_place(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("system", PROMPT), ("user", "Hello?"), ("system", "Oh, welcome."), ("user", "Hi."))
    mei = ANA.named("Mei")
    write_old(("system", PROMPT), ("user", "Hello?"), applicant=mei)
    api = make_api()
    assert api.said() == [PROMPT, "", "Hello?", "Oh, welcome.", "Hi."]
    assert api.status() == "started"
    assert api.reply("Hi.").status == 200
    # An empty message is nothing to show a model.
    assert [message["content"] for message in rehearsal.requests[-1]["messages"]] == [
        PROMPT,
        "Hello?",
        "Oh, welcome.",
        "Hi.",
    ]
    assert api.status(mei) == "uninitiated"
    assert api.start(mei).status == 200
    assert api.said(mei) == [PROMPT, SCRIPT[0], "Hello?"]


def test_every_old_interview_is_listed_once_whatever_is_in_it(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    people = {
        "prompt alone": [("system", PROMPT)],
        "words alone": [("user", "Hello?")],
        "started": [("system", PROMPT), ("system", "Welcome."), ("user", "Hi.")],
        "finished": [("system", PROMPT), ("system", CLOSING.upper()), ("system", CLOSING)],
        "thankful": [("system", PROMPT), ("system", "Welcome."), ("user", CLOSING)],
    }
    for name, rows in people.items():
        write_old(*rows, applicant=ANA.named(name))
    api = make_api()
    assert {
        person["name"]: person["is_finished"]
        for person in api.get("/get_applicants/job-1").body["applicants"]
    } == {**dict.fromkeys(people, 0), "finished": 1}
    assert len(api.get("/get_applicants/job-1").body["applicants"]) == len(people)
    assert api.get("/finished_interviews/job-1").body["finished_interviews"] == [
        {"name": "finished", "email": ANA.email}
    ]
    assert [api.status(ANA.named(name)) for name in people] == [
        *("uninitiated", "uninitiated"),
        *("started", "finished", "started"),
    ]
    assert api.reply("And?", ANA.named("finished")).status == 409


def test_starting_an_old_interview_anew_loses_no_word_of_it(
    write_old: WriteOld, make_api: Callable[..., Api], database_path: Path
) -> None:
    write_old(("system", "The old prompt"))
    mei = ANA.named("Mei")
    write_old(("user", "a"), ("system", "An answer, it seems"), ("user", "b"), applicant=mei)
    api = make_api()
    assert api.start().status == 200
    assert api.start(mei).status == 200
    assert api.said(mei) == [PROMPT, SCRIPT[0], "a\n\nb"]
    assert api.reply("c", mei).status == 200
    assert api.said(mei) == [PROMPT, SCRIPT[0], "a\n\nb\n\nc", SCRIPT[1]]
    kept = [content for _, content in stored(database_path)]
    assert {"The old prompt", "An answer, it seems"} <= set(kept)


def test_a_prompt_that_is_stored_twice_finishes_nothing(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(*[("system", PROMPT)] * 2, *[("system", "Welcome.")] * 2, ("user", "Hi."))
    api = make_api()
    assert api.status() == "started"
    assert api.reply("Hi.").status == 200


@pytest.mark.parametrize(
    ("rows", "expected", "status"),
    [
        ("P P", "P", "uninitiated"),
        ("P P W", "P W", "started"),
        ("P P W W", "P W", "started"),
        ("P W P W U", "P W U", "started"),
        ("P W U P U W", "P W UU W", "started"),
        ("P W U P", "P W U", "started"),
        ("P P U", "P - U", "uninitiated"),
        ("P P P U W", "P - U W", "started"),
        ("U P P W", "P - U W", "started"),
    ],
)
@pytest.mark.parametrize("is_migrated", [False, True])
def test_of_a_prompt_that_is_stored_twice_one_stays_in_the_interview(
    write_old: WriteOld,
    make_api: Callable[..., Api],
    database_path: Path,
    rows: str,
    expected: str,
    status: str,
    is_migrated: bool,
) -> None:
    """Also in a file that came to the second version of the schema before this was known."""
    texts = {"P": PROMPT, "W": "Welcome.", "U": "Hi.", "UU": "Hi.", "-": ""}
    roles = {"P": "system", "W": "system", "U": "user"}
    if is_migrated and rows.startswith("U"):
        pytest.skip("the second version has no such order")
    if is_migrated:
        make_api()
        user_version(database_path, 2)
    write_old(*((roles[row], texts[row]) for row in rows.split()))
    if is_migrated:
        with sqlite3.connect(database_path) as connection:
            connection.execute("UPDATE messages SET is_finished = 0")
        connection.close()
    before = stored(database_path)
    api = make_api()
    assert api.said() == [texts[row] for row in expected.split()]
    assert api.status() == status
    assert api.get("/finished_interviews/job-1").body["finished_interviews"] == []
    assert [row for row in stored(database_path) if row[1]] == before
    if status == "started":
        assert api.reply("Go on.").status == 200
    else:
        assert api.start().status == 200
        assert api.said()[:2] == [PROMPT, SCRIPT[0]]


def test_other_roles_become_what_clients_take_them_for(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(("system", PROMPT), ("assistant", "Welcome."), ("applicant", "Hi."))
    assert make_api().said() == [PROMPT, "Welcome.", "Hi."]


def test_a_time_that_is_a_number_is_shown_as_it_is(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."), date="1743940800")
    assert [message["timestamp"] for message in make_api().messages()] == ["1743940800"] * 2


def test_no_word_of_any_row_is_lost(
    write_old: WriteOld, make_api: Callable[..., Api], database_path: Path
) -> None:
    rows = [("user", "a"), ("system", "b"), ("user", "c"), ("user", "c"), ("system", "d")]
    for number in range(5):
        write_old(*rows[number:], *rows[:number], applicant=ANA.named(f"Ana {number}"))
    before = stored(database_path)
    make_api()
    assert [row for row in stored(database_path) if row[1]] == before


def stored(database_path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(database_path) as connection:
        rows = connection.execute("SELECT name, content FROM messages ORDER BY name, content, id")
        pairs = list(rows)
    connection.close()
    return pairs


@pytest.fixture
def manila() -> Iterator[None]:
    """Live eight hours ahead of UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Manila"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be set")
@pytest.mark.usefixtures("manila")
def test_old_local_times_become_utc_and_equal_ones_keep_their_order(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."), ("user", "Hi."), ("system", "So?"))
    write_old(("user", "Yes."), date="2025-04-06 07:30:00")
    write_old(("system", "Well."), date="yesterday")
    api = make_api()
    assert [message["timestamp"] for message in api.messages()] == [
        *["2025-04-06 04:00:00"] * 4,
        "2025-04-05 23:30:00",
        "yesterday",
    ]
    assert api.said()[1:4] == ["Welcome.", "Hi.", "So?"]


def test_the_service_before_this_one_can_still_write_to_the_file(
    write_old: WriteOld, make_api: Callable[..., Api]
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."))
    api = make_api()
    write_old(("user", "Hi."), ("system", "So?"))
    assert api.said() == [PROMPT, "Welcome.", "Hi.", "So?"]
    mei = ANA.named("Mei")
    write_old(("system", PROMPT), ("system", "Welcome."), applicant=mei)
    listed = api.get("/get_applicants/job-1").body["applicants"]
    assert [person["name"] for person in listed] == [ANA.name, "Mei"]


def test_many_may_migrate_at_once(write_old: WriteOld, config: Config, database_path: Path) -> None:
    for number in range(200):
        write_old(("user", "Hi."), ("system", PROMPT), applicant=ANA.named(f"Ana {number}"))
    with ThreadPoolExecutor(8) as pool:
        databases = list(pool.map(lambda _: open_database(config), range(8)))
    with databases[0].reading() as session:
        messages = Messages(session)
        assert len(messages.applicants("job-1")) == 200
    databases[0].close()
    assert len(stored(database_path)) == 200 * 3


def user_version(database_path: Path, version: int | None = None) -> int:
    """Return the version of the file's schema; with one, the file is taken back to it first."""
    connection = sqlite3.connect(database_path)
    if version is not None:
        for since, statements in ((6, TABLES_OF_RECORDS), (5, TABLES_OF_ROOMS), (4, TABLES)):
            for statement in statements if version < since else ():
                if name := re.search(r"CREATE TABLE (\w+)", statement):
                    connection.execute(f"DROP TABLE {name[1]}")
                elif added := re.search(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", statement):
                    connection.execute(f"ALTER TABLE {added[1]} DROP COLUMN {added[2]}")
        connection.execute(f"PRAGMA user_version = {version}")
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_a_file_of_a_newer_version_is_refused_and_left_alone(
    config: Config, make_api: Callable[..., Api], database_path: Path
) -> None:
    make_api().start()
    assert user_version(database_path) == SCHEMA_VERSION
    user_version(database_path, SCHEMA_VERSION + 1)
    with pytest.raises(StartError, match="newer version"):
        open_database(config)
    assert len(stored(database_path)) == 2


def test_a_file_of_the_first_version_learns_of_revoked_tokens(
    config: Config, make_api: Callable[..., Api], database_path: Path
) -> None:
    make_api().start()
    with sqlite3.connect(database_path) as connection:
        connection.execute("DROP TABLE token_revocations")
    connection.close()
    user_version(database_path, 1)
    database = open_database(config)
    with database.reading() as session:
        assert TokenRevocations(session).count("any") == 0
    database.close()
    assert user_version(database_path) == SCHEMA_VERSION
    assert len(stored(database_path)) == 2


def test_a_file_of_the_third_version_learns_of_positions_and_scorecards(
    config: Config, make_api: Callable[..., Api], database_path: Path
) -> None:
    make_api().start()
    user_version(database_path, 3)
    open_database(config).close()
    assert user_version(database_path) == SCHEMA_VERSION
    connection = sqlite3.connect(database_path)
    for table in ("positions", "rubrics", "scorecards", "scorecard_runs", "jobs"):
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    connection.close()
    assert len(stored(database_path)) == 2


def test_a_file_of_the_fourth_version_learns_of_invitations_and_decisions(
    config: Config, make_api: Callable[..., Api], database_path: Path
) -> None:
    make_api().start()
    user_version(database_path, 4)
    open_database(config).close()
    assert user_version(database_path) == SCHEMA_VERSION
    connection = sqlite3.connect(database_path)
    for table in ("invitations", "decisions"):
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    connection.close()
    assert len(stored(database_path)) == 2


def test_a_file_of_something_else_is_refused_and_left_alone(
    config: Config, database_path: Path
) -> None:
    database_path.parent.mkdir()
    with sqlite3.connect(database_path) as connection:
        connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, text TEXT)")
    connection.close()
    with pytest.raises(StartError, match="its table messages has no access_key"):
        open_database(config)
    assert user_version(database_path) == 0


def test_a_migration_that_breaks_off_changes_nothing(
    write_old: WriteOld,
    config: Config,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_old(("user", "Hi."), ("system", PROMPT))
    monkeypatch.setattr("storage.sqlite.schema.IDEMPOTENCY_KEYS", "CREATE TABLE broken off")
    with pytest.raises(StartError):
        open_database(config)
    assert user_version(database_path) == 0
    monkeypatch.undo()
    database = open_database(config)
    assert stored(database_path) == [(ANA.name, ""), (ANA.name, "Hi."), (ANA.name, PROMPT)]
    database.close()


def test_a_closing_phrase_of_ones_own_counts_in_an_old_file(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("system", PROMPT), ("system", "Adieu, ÉLISE!"))
    assert make_api(closing_phrase="adieu, élise").status() == "finished"


def test_a_failed_answer_in_an_old_file_is_taken_up(
    write_old: WriteOld, make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    write_old(("system", PROMPT), ("system", "Welcome."), ("user", "Hi."))
    api = make_api()
    rehearsal.default = Behaviour(echo=True)
    assert api.reply("Hi.").body == {"system": "You said: Hi."}
    assert api.said() == [PROMPT, "Welcome.", "Hi.", "You said: Hi."]
