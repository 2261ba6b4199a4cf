"""A SQLite file's interviews in PostgreSQL: every word, once, or nothing at all."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from access.api_keys import hash_of
from api import ANA, PROMPT, Api, Applicant
from app import create_app
from commands.import_sqlite import Imported, import_file
from commands.importing.errors import ImportingError
from config import Config
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from server import run_command
from storage.postgres.schema import IMPORT_LOCK
from test_sqlite_schema import OLD_TABLE
from web.service import service

KEYED: dict[str, Any] = {"api_keys": (hash_of("key"),), "secret_key": ("s" * 32,)}
LONG = Applicant("😀" * 320, "Ana 😀" + "ä" * 300, "😀" * 320)


def everything(api: Api, *applicants: Applicant) -> list[Any]:
    """All that can be read of the interviews but ids, which differ."""
    transcripts = [api.messages(applicant) for applicant in applicants]
    for transcript in transcripts:
        for message in transcript:
            del message["id"]
    lists = [
        api.get(f"/{name}/{ANA.access_key}").body
        for name in ("get_applicants", "finished_interviews")
    ]
    return [transcripts, lists, [api.status(applicant) for applicant in applicants]]


def test_all_is_there_and_goes_on(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path
) -> None:
    mei = ANA.named("Mei")
    for applicant in (ANA, mei):
        assert api.start(applicant).status == 200
    for number in range(5):
        assert api.reply(f"Answer {number}", mei).status == 200  # which finishes it
    assert api.reply("Hello").status == 200
    before = everything(api, ANA, mei)

    assert import_file(database_path, target) == Imported(2, 4 + 12, 0)
    there = on_target()
    assert everything(there, ANA, mei) == before
    assert there.reply("And so on").body == {"system": SCRIPT[2]}
    assert there.start(ANA.named("Noor")).status == 200
    listed = there.get(f"/get_applicants/{ANA.access_key}").body["applicants"]
    assert [applicant["name"] for applicant in listed] == [ANA.name, "Mei", "Noor"]
    assert everything(api, ANA, mei) == before  # the file is as it was


def test_doing_it_again_adds_what_has_come_since_and_nothing_else(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path
) -> None:
    api.start()
    assert import_file(database_path, target) == Imported(1, 2, 0)
    assert import_file(database_path, target) == Imported(0, 0, 1)
    api.reply("Hello")
    api.start(ANA.named("Mei"))
    assert import_file(database_path, target) == Imported(1, 4, 1)
    there = on_target()
    assert there.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]
    there.reply("It goes on here")
    assert import_file(database_path, target) == Imported(0, 0, 2)
    assert there.said()[4:] == ["It goes on here", SCRIPT[2]]


def test_interviews_that_differ_are_listed_and_nothing_is_imported(
    api: Api,
    on_target: Callable[..., Api],
    target: Config,
    database_path: Path,
    rehearsal: Rehearsal,
) -> None:
    mei, noor = ANA.named("Mei"), ANA.named("Noor")
    for applicant in (ANA, mei, noor):
        api.start(applicant)
    import_file(database_path, target)
    there = on_target()
    rehearsal.default = Behaviour(echo=True)
    for applicant in (ANA, noor):
        api.reply("Said here", applicant)
        there.reply("Said there", applicant)
    api.start(ANA.named("Zoe"))
    with pytest.raises(ImportingError) as refused:
        import_file(database_path, target)
    assert "2 interviews" in str(refused.value)
    assert [line.split(" / ")[1] for line in str(refused.value).splitlines()[1:]] == [
        ANA.name,
        "Noor",
    ]
    assert there.messages(ANA.named("Zoe")) == []
    assert there.said()[2:] == ["Said there", "You said: Said there"]
    assert there.start(ANA.named("Zoe")).status == 200  # the tables are as they were


def test_keys_and_revocations_count_on(
    make_api: Callable[..., Api],
    on_target: Callable[..., Api],
    target: Config,
    database_path: Path,
    rehearsal: Rehearsal,
) -> None:
    api = make_api(**KEYED)

    def call(api: Api, path: str, body: dict[str, str], **headers: str) -> Any:
        return api.send("POST", path, json=body, headers={"X-API-Key": "key", **headers})

    reply = {**ANA.fields, "message": "Hello"}
    one = {"Idempotency-Key": "one"}
    call(api, "/start_interview", {**ANA.fields, "prompt": PROMPT})
    answer = call(api, "/reply", reply, **one)
    token = call(api, "/applicant_token", ANA.fields).body["token"]
    call(api, "/revoke_applicant_token", ANA.fields)

    for _ in range(2):
        import_file(database_path, target)
    there = on_target(**KEYED)
    rehearsal.default = Behaviour(status=500)
    assert call(there, "/reply", reply, **one).body == answer.body
    assert call(there, "/reply", {**reply, "message": "Else"}, **one).status == 422
    headers = {"Authorization": f"Bearer {token}"}
    answer = there.send("GET", f"/interview_status/{ANA.path}", headers=headers)
    assert answer.status == 401


def test_an_old_file_is_put_in_order_on_the_way_and_stays_as_it_is(
    on_target: Callable[..., Api], target: Config, tmp_path: Path
) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.execute(OLD_TABLE)
        for applicant, rows in (
            (ANA, [("system", PROMPT), ("system", "Welcome."), ("user", "A"), ("user", "B\0C")]),
            (ANA.named("Mei"), [("user", "Hello?")]),
            (LONG, [("system", PROMPT)]),
        ):
            for role, content in rows:
                connection.execute(
                    "INSERT INTO messages (content, date_created, role, access_key, name, email)"
                    " VALUES (?, '2025-04-06 12:00:00.123456', ?, ?, ?, ?)",
                    (content, role, *applicant.fields.values()),
                )
    connection.close()
    before = file.read_bytes()
    assert import_file(file, target).interviews == 3
    assert file.read_bytes() == before
    there = on_target()
    assert there.said() == [PROMPT, "Welcome.", "A\n\nB\ufffdC"]
    assert there.said(ANA.named("Mei")) == ["", "", "Hello?"]
    assert there.start(ANA.named("Mei")).status == 200
    assert there.said(ANA.named("Mei"))[2:] == ["Hello?"]


def test_thousands_of_interviews_need_no_more_locks_than_a_server_has(
    config: Config, target: Config, on_target: Callable[..., Api], database_path: Path
) -> None:
    service(create_app(config)).close()
    with sqlite3.connect(database_path) as connection:
        connection.executemany(
            "INSERT INTO messages (content, date_created, role, access_key, name, email)"
            " VALUES ('x', '2026-01-01 12:00:00.000000', 'system', 'job-1', ?, 'a@example.com')",
            ((f"Ana {number // 2}",) for number in range(20_000)),
        )
    connection.close()
    assert import_file(database_path, target) == Imported(10_000, 20_000, 0)
    assert len(on_target().get("/get_applicants/job-1").body["applicants"]) == 10_000


@contextmanager
def held_up(target: Config) -> Iterator[psycopg.Connection]:
    """Let an import come as far as its locks, and no further, while the block runs."""
    with psycopg.connect(target.database_url) as other:
        other.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
        yield other


def wait_for_lock(connection: psycopg.Connection, waiting: Future[Any], count: int = 1) -> None:
    """Return once so many connections wait for a lock of this schema."""
    query = (
        "SELECT pid FROM pg_locks WHERE NOT granted AND (relation = 'messages'::regclass"
        f" OR (classid::bigint << 32 | objid::bigint) = {IMPORT_LOCK})"
    )
    while len(connection.execute(query.encode()).fetchall()) < count:
        assert not waiting.done(), waiting.result()
        time.sleep(0.01)


def test_what_breaks_off_leaves_nothing(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path
) -> None:
    api.start()
    there = on_target()
    with ThreadPoolExecutor() as pool, held_up(target) as other:
        importing = pool.submit(import_file, database_path, target)
        wait_for_lock(other, importing)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE relation = 'messages'::regclass AND NOT granted"
        )
        with pytest.raises(ImportingError, match="Nothing was imported"):
            importing.result()
    assert there.messages() == []
    assert import_file(database_path, target) == Imported(1, 2, 0)
    assert len(there.messages()) == 2


def test_a_start_meanwhile_finds_the_interview_that_was_imported(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path
) -> None:
    api.start()
    there = on_target()
    with ThreadPoolExecutor() as pool:
        with held_up(target) as other:
            importing = pool.submit(import_file, database_path, target)
            wait_for_lock(other, importing)
            starting = pool.submit(there.start, prompt="Another prompt")
            wait_for_lock(other, starting, 2)
            assert there.get("/get_applicants/job-1").body["applicants"] == []  # reads go on
        assert importing.result() == Imported(1, 2, 0)
        assert starting.result().status == 400
    assert there.said() == api.said()


def test_a_reply_meanwhile_comes_after_what_was_imported(
    api: Api,
    on_target: Callable[..., Api],
    target: Config,
    database_path: Path,
    rehearsal: Rehearsal,
) -> None:
    api.start()
    import_file(database_path, target)
    there = on_target()
    api.reply("In the file")
    with ThreadPoolExecutor() as pool:
        with held_up(target) as other:
            importing = pool.submit(import_file, database_path, target)
            wait_for_lock(other, importing)
            replying = pool.submit(there.reply, "Meanwhile")
            wait_for_lock(other, replying, 2)
        assert importing.result() == Imported(0, 2, 1)
        assert replying.result().body == {"system": SCRIPT[2]}
    assert there.said() == [*api.said(), "Meanwhile", SCRIPT[2]]
    asked = [message["content"] for message in rehearsal.requests[-1]["messages"]]
    assert asked == [*api.said(), "Meanwhile"]


class TestOddFiles:
    """Files with values that SQLite stores and PostgreSQL does not."""

    @pytest.fixture
    def write(self, tmp_path: Path) -> Callable[..., Path]:
        """Write a file of the predecessor's with Ana's interview, and rows that are odd."""

        def write(*rows: tuple[object, ...]) -> Path:
            file = tmp_path / "old.db"
            date = "2025-04-06 12:00:00.123456"
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute(
                    "CREATE TABLE messages (id INTEGER PRIMARY KEY, content TEXT, date_created"
                    " TIMESTAMP, role TEXT, access_key TEXT, name TEXT, email TEXT,"
                    " is_finished INTEGER)"
                )
                connection.executemany(
                    "INSERT INTO messages (content, date_created, role, access_key, name, email,"
                    " is_finished) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (PROMPT, date, "system", *ANA.fields.values(), 0),
                        ("Welcome.", date, "system", *ANA.fields.values(), 0),
                        *rows,
                    ],
                )
                connection.execute(
                    "UPDATE messages SET content = CAST(content AS TEXT) WHERE content = x'e4'"
                )
            return file

        return write

    def test_values_that_stand_for_text_are_imported_as_text(
        self, write: Callable[..., Path], on_target: Callable[..., Api], target: Config
    ) -> None:
        date, *ana = "2025-04-06 12:00:00.123456", *ANA.fields.values()
        file = write(
            (b"A BL\xc3\x96B", date, "user", *ana, 0),
            ("No flag", date, "system", *ana, None),
            ("No role", date, None, *ana, "what?"),
            ("NUL in a time", "2025\0", "system", *ana, 0),
            ("No time", None, "user", *ana, 0),
            ("A time of bytes", b"\xff", "system", *ana, 0),
            (PROMPT, 1743940800, "system", ana[0], "N\0r", ana[2], 0),
            ("Hello", date, "system", ana[0], b"N\0r", ana[2], None),
        )
        before = file.read_bytes()
        assert import_file(file, target) == Imported(2, 10, 0)
        assert file.read_bytes() == before
        there = on_target()
        assert there.said() == [
            *(PROMPT, "Welcome.", "A BLÖB", "No flag", "No role", "NUL in a time", "No time"),
            "A time of bytes",
        ]
        assert [message["timestamp"] for message in there.messages()[5:]] == [
            *("2025\ufffd", "", "\ufffd")
        ]
        listed = there.get(f"/get_applicants/{ANA.access_key}").body["applicants"]
        assert [applicant["name"] for applicant in listed] == [ANA.name, "N\ufffdr"]
        assert there.status() == "started"

    def test_rows_that_cannot_be_stored_are_named_and_left_out_if_asked(
        self, write: Callable[..., Path], on_target: Callable[..., Api], target: Config
    ) -> None:
        date, *ana = "2025-04-06 12:00:00.123456", *ANA.fields.values()
        file = write(
            (b"\xff\xfe secret", date, "user", *ana, 0),
            ("The answer", date, "system", *ana, 0),
            (None, date, "user", *ana, 0),
            ("Secret", date, "user", ana[0], None, ana[2], 0),
            (b"\xe4", date, "user", ana[0], b"\xe4", ana[2], 0),
        )
        done = run_command(target.database_url, "import", file)
        assert (done.returncode, done.stdout) == (1, "")
        reasons = [
            "message 3: its content is not UTF-8",
            "message 5: its content is NULL",
            "message 6: its name is NULL",
            "message 7: its content is not UTF-8",
            "message 7: its name is not UTF-8",
        ]
        named = [line.strip() for line in done.stderr.splitlines() if "message " in line]
        assert named == reasons
        assert "ecret" not in done.stderr
        assert on_target().messages() == []

        done = run_command(target.database_url, "import", "--skip", file)
        assert done.stdout == ("1 interviews imported, 0 were there already; 5 messages in all.\n")
        named = [line for line in done.stderr.splitlines() if "message " in line]
        assert named == [f"Skipped {reason}" for reason in reasons]
        there = on_target()
        assert there.said() == [PROMPT, "Welcome.", "", "The answer", ""]
        assert import_file(file, target, skip=True)[:3] == (0, 0, 1)
        assert there.reply("Here I am").status == 200


def test_the_command_tells_what_it_did(api: Api, target: Config, database_path: Path) -> None:
    api.start()

    done = run_command(target.database_url, "import", database_path)
    assert done.stdout == "1 interviews imported, 0 were there already; 2 messages in all.\n"
    again = run_command(target.database_url, "import", database_path)
    assert again.stdout == "0 interviews imported, 1 were there already; 0 messages in all.\n"
    assert (
        "There is no database"
        in run_command(target.database_url, "import", database_path.with_name("none.db")).stderr
    )
    assert (
        "must name the PostgreSQL" in run_command("sqlite:///x.db", "import", database_path).stderr
    )
