"""What is kept under an access key, taken away piece by piece while it changes."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from access.api_keys import hash_of
from api import ANA, Api, Applicant
from config import APP_FOLDER, Config
from db import Database, Messages, open_database, position_digest
from exported import (
    Adding,
    Html,
    Json,
    documents_in,
    held,
    insert,
    key_of,
    store_person,
    store_position,
    unpacked,
)
from many_interviews import store_interviews
from records.exporting import reading
from records.exporting.archive import PEOPLE_IN_PART, of_position
from records.exporting.reading import under
from server import Gunicorn
from storage.sqlite.driver import sqlite3

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"

JOB = ANA.access_key


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def lines(api: Api, access_key: str = JOB) -> list[Json]:
    answer = api.raw("GET", f"/export_interviews/{access_key}")
    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
    return list(documents_in(answer.text))


def names(documents: list[Json]) -> list[str]:
    return [one["name"] for one in documents if one["kind"] == "interview"]


def invite(database: Database, applicant: Applicant, secret: str = "") -> None:
    named = {
        **key_of(applicant)._asdict(),
        "interview": key_of(applicant).digest(),
        "position": position_digest(applicant.access_key),
    }
    with database.transaction() as session:
        Adding(session, named)(
            "invitations",
            secret_sha256=f"{applicant.name} {secret}",
            metadata="{}",
            created_at="2026-11-24T08:00:00Z",
            expires_at="2026-12-08T08:00:00Z",
        )


def start(database: Database, applicant: Applicant) -> None:
    with database.transaction(key_of(applicant)) as session:
        Messages(session).add(key_of(applicant), "system", "Hello")


@pytest.mark.both_databases
def test_a_position_is_exported_with_everybody_and_nobody_else(
    api: Api, database: Database
) -> None:
    store_position(database, JOB, "Position")
    for name in ("Ana", "Mei", HOSTILE):
        store_person(database, ANA.named(name), f"Words of {name}")
    store_person(database, Applicant("job-2", "Ana", ANA.email), "Foreign")
    found = lines(api)
    assert [one["kind"] for one in found] == [
        *("position", "interview", "interview", "interview"),
        *("erasure", "erasure", "erasure", "end"),
    ]
    assert names(found) == ["Ana", "Mei", HOSTILE]
    assert found[-1] == {"kind": "end", "interviews": 3, "erasures": 3}
    position = found[0]["position"]
    assert [one["version"] for one in position["rubrics"]] == [1, 2]
    assert [one["version"] for one in position["notices"]] == [1, 2, 3]
    assert "Foreign" not in json.dumps(found)
    # Each is what the export of one person is, but for the position.
    for one in found[1:4]:
        alone = api.get(f"/export_interview/{ANA.named(one['name']).path}").body
        assert alone.pop("position") is not None
        for document in (one, alone):
            document.pop("exported_at")
            document.pop("audit_events")  # each export adds one
        assert one == alone


@pytest.mark.both_databases
def test_the_archive_has_the_same_documents_and_pages_to_read(api: Api, database: Database) -> None:
    store_position(database, JOB, HOSTILE)
    for number in range(3):
        store_person(database, ANA.named(f"{HOSTILE}{number}"), HOSTILE)
    answer = api.raw("GET", f"/export_interviews/{JOB}?format=zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    files = unpacked(answer.data)
    assert list(files) == [
        *("README.txt", "position.json"),
        *("interviews-00001.ndjson", "interviews-00001.html", "interviews-00001.csv"),
    ]
    held(json.loads(files["position.json"]))
    found = list(documents_in(files["interviews-00001.ndjson"]))
    assert names(found) == [f"{HOSTILE}{number}" for number in range(3)]
    assert found[-1]["kind"] == "end"
    page = Html(files["interviews-00001.html"])
    tags = Counter(tag for tag, _ in page.elements)
    assert not tags.keys() & {"script", "img", "svg", "iframe", "object", "link", "form"}
    assert tags["article"] == 3
    assert page.words.count(f"{HOSTILE} answer") == 3
    anchors = {given["id"] for tag, given in page.elements if tag == "article"}
    targets = {(given["href"] or "")[1:] for tag, given in page.elements if tag == "a"}
    assert anchors == targets
    rows = list(csv.reader(io.StringIO(files["interviews-00001.csv"])))
    assert len(rows) == 1 + 3 * 5


@pytest.mark.both_databases
def test_many_people_come_in_several_parts_and_each_once(api: Api, database: Database) -> None:
    count = reading.ROWS_AT_ONCE + PEOPLE_IN_PART + 7
    with database.transaction() as session:
        for number in range(count):
            key = key_of(ANA.named(f"Applicant {number}"))
            insert(
                session,
                "messages",
                **key._asdict(),
                role="system",
                content="Hello",
                date_created="2026-11-24 08:01:20.123456",
            )
    assert names(lines(api)) == [f"Applicant {number}" for number in range(count)]
    files = unpacked(api.raw("GET", f"/export_interviews/{JOB}?format=zip").data)
    parts = [text for name, text in files.items() if name.endswith(".ndjson")]
    assert len(parts) > 10
    found = [one for text in parts for one in documents_in(text)]
    assert names(found) == [f"Applicant {number}" for number in range(count)]
    assert found[-1] == {"kind": "end", "interviews": count, "erasures": 0}


@pytest.mark.both_databases
def test_whoever_has_no_interview_is_there_once_however_often_they_are_found(
    api: Api, database: Database
) -> None:
    for applicant in map(ANA.named, ("Ana", "Mei")):
        store_person(database, applicant)
    with database.transaction() as session:
        for table in ("idempotency_keys", "messages"):
            session.execute(f"DELETE FROM {table} WHERE name = 'Mei'", {})
    for applicant in map(ANA.named, ("Ana", "Mei", "Noor")):
        invite(database, applicant)
        invite(database, applicant, "again")
    assert names(lines(api)) == ["Ana", "Mei", "Noor"]


@pytest.mark.both_databases
@pytest.mark.parametrize("table", ["consents", "other_ways"])
def test_who_was_not_even_invited_is_there(api: Api, database: Database, table: str) -> None:
    store_person(database, ANA)
    with database.transaction() as session:
        for other in ("idempotency_keys", "messages", "invitations", "consents", "other_ways"):
            if other != table:
                session.execute(f"DELETE FROM {other}", {})
    (found,) = (one for one in lines(api) if one["kind"] == "interview")
    assert len(found[table]) == 1


@pytest.mark.both_databases
def test_of_an_access_key_under_which_there_is_nothing_there_is_nothing(
    api: Api, database: Database
) -> None:
    for end in ("", "?format=zip"):
        answer = api.get(f"/export_interviews/nothing{end}")
        assert (answer.status, set(answer.body)) == (404, {"error"})
    store_position(database, "empty")
    assert [one["kind"] for one in lines(api, "empty")] == ["position", "end"]
    start(database, Applicant("without", "Ana", "a"))
    found = lines(api, "without")
    assert [one["kind"] for one in found] == ["position", "interview", "end"]
    assert found[0]["position"] is None
    with database.reading() as session:
        rows = session.execute("SELECT position, action, subject FROM audit_events", {}).fetchall()
    assert rows == [
        (position_digest("empty"), "position.exported", ""),
        (position_digest("without"), "position.exported", ""),
    ]


# While it is read.


def paused(database: Database) -> Iterator[list[Json]]:
    """An export of which one document after the other is read, when it is asked for."""
    for batch in under(database, JOB):
        for document in batch:
            yield [document]


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["Ana", "Zoe"])
def test_who_starts_while_others_are_read_is_there_once(
    database: Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was invited at the beginning, whether the list has come to where they are or not."""
    monkeypatch.setattr(reading, "PEOPLE_AT_ONCE", 1)
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 2)
    for number in range(4):
        start(database, ANA.named(f"Applicant {number}"))
    for invited in ("Ana", "Mei", "Zoe"):
        invite(database, ANA.named(invited))
    for moment in range(9):
        late = ANA.named(f"Late {moment}")
        invite(database, late)
        read: list[Json] = []
        for place, (document,) in enumerate(paused(database)):
            if place == moment:
                start(database, late)
            read.append(document)
        counts = Counter(names(read))
        assert counts[late.name] == 1, moment
        assert counts["Applicant 3"] == counts[name] == 1
        assert set(counts.values()) == {1}
        assert read[-1]["interviews"] == sum(counts.values())


@pytest.mark.both_databases
def test_who_is_erased_while_others_are_read_is_left_out_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PEOPLE_AT_ONCE", 1)
    for number in range(4):
        start(database, ANA.named(f"Applicant {number}"))
    read: list[Json] = []
    for place, (document,) in enumerate(paused(database)):
        if place == 1:
            with database.transaction() as session:
                session.execute("DELETE FROM messages WHERE name = 'Applicant 3'", {})
        read.append(document)
    assert names(read) == ["Applicant 0", "Applicant 1", "Applicant 2"]
    assert read[-1]["interviews"] == 3


@pytest.mark.both_databases
def test_each_document_is_of_one_moment_while_others_write(
    config: Config, database: Database
) -> None:
    """Each decision is stored with a message, so that a document has as many of both."""
    people = [ANA.named(f"Applicant {number}") for number in range(8)]
    done = Event()

    def decide(applicant: Applicant) -> None:
        writer = open_database(config)
        key = key_of(applicant)
        while not done.is_set():
            with writer.transaction(key) as session:
                Messages(session).add(key, "user", "Again")
                Adding(
                    session,
                    {
                        **key._asdict(),
                        "interview": key.digest(),
                        "position": position_digest(key.access_key),
                    },
                )("decisions", decision="potential", reason="R", reviewer="B", created_at="x")
        writer.close()

    with ThreadPoolExecutor(3) as pool:
        for applicant in people:
            start(database, applicant)
        writers = [pool.submit(decide, applicant) for applicant in people[:3]]
        try:
            longest = 0
            while longest < 10:
                found = [one for batch in under(database, JOB) for one in batch]
                assert names(found) == [one.name for one in people]
                for one in found[1:-1]:
                    assert len(one["messages"]) == 1 + len(one["decisions"])
                    longest = max(longest, len(one["messages"]))
        finally:
            done.set()
        for writer in writers:
            writer.result()


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", ["ndjson", "zip"])
def test_a_reader_that_pauses_holds_neither_a_connection_nor_a_transaction(
    make_api: Callable[..., Api], database: Database, config: Config, kind: str
) -> None:
    api = make_api(database_pool_size=1)
    for number in range(2 * PEOPLE_IN_PART):
        start(database, ANA.named(f"Applicant {number}"))
    answer = api.raw("GET", f"/export_interviews/{JOB}?format={kind}", buffered=False)
    pieces = answer.iter_encoded()
    next(pieces)
    # The only connection there is serves others, and is in no transaction.
    assert api.start(ANA.named("Later")).status == 200
    assert api.reply("Hello", ANA.named("Later")).status == 200
    if not config.is_postgresql:
        with sqlite3.connect(config.database_url.removeprefix("sqlite:///")) as other:
            # Nobody reads from the write-ahead log: all of it can be taken into the file.
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
        other.close()
    rest = b"".join(pieces)
    assert rest
    answer.close()
    if kind == "ndjson":
        assert json.loads(rest.splitlines()[-1])["interviews"] == 2 * PEOPLE_IN_PART


@pytest.mark.parametrize("stays", [True, False], ids=["stops reading", "goes away"])
def test_a_client_that_does_not_read_is_given_up(
    make_server: Callable[..., Gunicorn], database: Database, stays: bool
) -> None:
    """The one thread that there is serves others then."""
    store_interviews(database, JOB, 2000)  # more than the buffers of a connection hold
    server = make_server(WORKER_THREADS="1", WEB_CONCURRENCY="1", CLIENT_TIMEOUT="1").start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        request = f"GET /export_interviews/{JOB} HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(request.encode())
        assert client.recv(1)
        if not stays:
            client.close()
        with server.api() as api:
            assert api.get("/readyz").status == 200
    server.stop()
    assert "Traceback" not in server.log.read_text()


def test_a_client_gets_it_whole_over_http(
    make_server: Callable[..., Gunicorn], database: Database
) -> None:
    store_interviews(database, JOB, 60)
    with make_server(API_KEYS="a-key").start().api() as api:
        headers = {"X-API-Key": "a-key"}
        found = api.raw("GET", f"/export_interviews/{JOB}", headers=headers)
        assert found.headers["Transfer-Encoding"] == "chunked"
        assert len(names(list(documents_in(found.text)))) == 60
        archive = api.raw("GET", f"/export_interviews/{JOB}?format=zip", headers=headers)
        assert len(unpacked(archive.content)) == 2 + 2 * 3
    with database.reading() as session:
        actors = session.execute("SELECT DISTINCT actor FROM audit_events", {}).fetchall()
    assert actors == [(f"key {hash_of('a-key').hex()[:8]}",)]


def test_an_export_that_breaks_has_no_end(
    make_api: Callable[..., Api], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody takes a part for the whole."""
    for number in range(2 * PEOPLE_IN_PART):
        start(database, ANA.named(f"Applicant {number}"))
    for kind in ("ndjson", "zip"):
        answer = make_api().raw("GET", f"/export_interviews/{JOB}?format={kind}", buffered=False)
        pieces = answer.iter_encoded()
        read = next(pieces)
        with monkeypatch.context() as patch:
            patch.setattr(reading, "ExportedRows", broken)
            with pytest.raises(RuntimeError):
                read += b"".join(pieces)
        assert b'"end"' not in read
        assert b"PK\x05\x06" not in read
        answer.close()


def broken(_: Any) -> Any:
    raise RuntimeError


def test_an_archive_is_written_as_it_is_read() -> None:
    """Nothing is read ahead: the first part is there before the second is asked for."""
    asked = []

    def batches() -> Iterator[list[Json]]:
        for number in range(3 * PEOPLE_IN_PART):
            asked.append(number)
            yield [{"kind": "erasure", "number": number}]

    pieces = of_position(batches())
    assert next(pieces)
    assert len(asked) == PEOPLE_IN_PART
    assert next(pieces)
    assert len(asked) == 2 * PEOPLE_IN_PART
    pieces.close()  # type: ignore[attr-defined]


@pytest.mark.long
@pytest.mark.both_databases
def test_ten_thousand_interviews_take_no_more_memory_than_a_few(
    config: Config, database: Database
) -> None:
    found = measured(config, database, "ndjson")
    assert found["bytes"] > 50_000_000
    assert '{"kind":"end","interviews":10000,"erasures":0}' in found["end"]
    assert found["megabytes"] < 20


@pytest.mark.long
def test_their_archive_does_not_either(config: Config, database: Database) -> None:
    assert measured(config, database, "zip")["megabytes"] < 20


def measured(config: Config, database: Database, kind: str) -> Json:
    """The size of an export of 10,000 interviews, and the memory that it took at its peak."""
    store_interviews(database, JOB, 10_000)
    store_interviews(database, f"{JOB}-small", 10)
    done = subprocess.run(
        [sys.executable, "tests/measured_export.py", JOB, kind],
        cwd=APP_FOLDER,
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_API_KEY": "any",
            "DATABASE_URL": config.database_url,
        },
        capture_output=True,
        check=True,
        text=True,
    )
    found: Json = json.loads(done.stdout.splitlines()[-1])
    return found
