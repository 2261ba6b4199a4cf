"""The chains of the audit trail: whatever is done to one, its verification finds it."""

import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api import ANA
from audited import NONE, add_events, change, problems
from config import Config
from db import Database, open_database, position_digest
from records.audit_chain import AuditLinker, hash_of, link
from records.audit_queries import COLUMNS, AuditChains, Event, Head
from records.audit_verification import Verification
from storage.sqlite.driver import sqlite3
from waiting import wait_until

POSITION = position_digest(ANA.access_key)

ONE = "WHERE position = :position AND sequence"


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


@pytest.fixture
def chain(database: Database) -> Database:
    """A chain of five events, beside another position's."""
    add_events(database, 5)
    add_events(database, 3, "job-2")
    link(database)
    assert problems(database) == problems(database, "job-2") == []
    return database


def events(database: Database) -> list[Event]:
    with database.reading() as session:
        return AuditChains(session).page(POSITION, 0, 1000)


def head(database: Database) -> Head | None:
    with database.reading() as session:
        return AuditChains(session).head(POSITION)


@pytest.mark.both_databases
def test_events_are_linked_in_the_order_in_which_they_were_added(database: Database) -> None:
    add_events(database, 3)
    assert events(database) == []
    link(database)
    add_events(database, 2)
    link(database)
    previous = NONE
    for number, event in enumerate(events(database)):
        assert event.sequence == number + 1
        assert event.detail == f'{{"number":{number % 3}}}'
        assert event.hash == hash_of(event, previous)
        previous = event.hash
    assert head(database) == Head(5, previous)


@pytest.mark.both_databases
def test_more_events_than_fit_into_one_transaction_are_all_linked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("records.audit_chain.AT_ONCE", 4)
    add_events(database, 13)
    add_events(database, 9, "job-2")
    AuditLinker(database).run()
    assert head(database) == Head(13, str(events(database)[-1].hash))
    assert problems(database) == problems(database, "job-2") == []


@pytest.mark.both_databases
def test_many_who_add_and_link_at_once_make_one_chain(config: Config) -> None:
    databases = [open_database(config) for _ in range(3)]

    def add_and_link(number: int) -> None:
        for _ in range(10):
            add_events(databases[number % 3], 2)
            link(databases[number % 3], POSITION if number % 2 else None)

    with ThreadPoolExecutor(6) as pool:
        for added in [pool.submit(add_and_link, number) for number in range(6)]:
            added.result()
    assert problems(databases[0]) == []
    assert [event.sequence for event in events(databases[0])] == list(range(1, 121))
    for database in databases:
        database.close()


@pytest.mark.both_databases
@pytest.mark.parametrize("sequence", [1, 3, 5])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("position", "0" * 64),
        ("at", "2020-01-01T00:00:00.000000Z"),
        ("actor", "key 00000000"),
        ("action", "interview.started"),
        ("subject", ""),
        ("detail", ""),
        ("sequence", 99),
        ("sequence", 0),
        ("sequence", None),
        ("hash", "0" * 64),
        ("hash", None),
    ],
)
def test_a_change_of_any_column_is_found(
    chain: Database, column: str, value: Any, sequence: int
) -> None:
    change(chain, f"UPDATE audit_events SET {column} = :value {ONE} = {sequence}", value=value)
    found = problems(chain)
    assert found
    assert problems(chain, "job-2") == []
    # It does not heal by what is added later.
    add_events(chain, 2)
    assert problems(chain)


@pytest.mark.both_databases
def test_a_changed_event_is_named(chain: Database) -> None:
    change(chain, f"UPDATE audit_events SET actor = 'somebody else' {ONE} = 3")
    assert problems(chain) == ["Event 3 was changed or put in, or the one before it was."]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("gone", "found"),
    [
        ("= 1", "Event 1 is missing."),
        ("= 3", "Event 3 is missing."),
        ("= 5", "Event 5 is missing at the end."),
        ("IN (2, 3)", "Events 2 to 3 are missing."),
        ("> 0", "Events 1 to 5 are missing at the end."),
    ],
)
def test_events_that_were_taken_out_are_named(chain: Database, gone: str, found: str) -> None:
    change(chain, f"DELETE FROM audit_events {ONE} {gone}")
    assert problems(chain) == [found]
    add_events(chain, 1)
    (still,) = problems(chain)
    assert still.removesuffix(".") in found


@pytest.mark.both_databases
@pytest.mark.parametrize("head", ["removed", "set back"])
def test_an_end_that_was_taken_off_with_its_head_is_found_once_the_trail_goes_on(
    chain: Database, head: str
) -> None:
    before = events(chain)[3]
    change(chain, f"DELETE FROM audit_events {ONE} = 5")
    if head == "removed":
        change(chain, "DELETE FROM audit_heads WHERE position = :position")
        assert problems(chain) == ["The head of the chain is missing."]
        add_events(chain, 1)
        assert problems(chain) == ["Event 5 is missing."]
    else:
        change(
            chain,
            "UPDATE audit_heads SET sequence = 4, hash = :hash WHERE position = :position",
            hash=before.hash,
        )
        # Everything is as it would be if there had never been an event 5 ...
        assert problems(chain) == []
        add_events(chain, 1)
        # ... but for whoever has kept its hash.
        assert problems(chain, kept={5: "f" * 64}) == [
            "Event 5 has another hash than the one that was kept."
        ]


@pytest.mark.both_databases
def test_a_head_that_was_changed_is_found(chain: Database) -> None:
    change(chain, "UPDATE audit_heads SET hash = :hash WHERE position = :position", hash=NONE)
    assert problems(chain) == ["Event 5 has another hash than the head of the chain."]
    change(chain, "UPDATE audit_heads SET sequence = 3 WHERE position = :position")
    assert problems(chain) == ["Events were put in behind event 3, or the head was set back."]
    add_events(chain, 1)
    assert problems(chain) == ["Event 6 is missing."]


@pytest.mark.both_databases
def test_events_that_were_swapped_are_found(chain: Database) -> None:
    change(chain, f"UPDATE audit_events SET sequence = -2 {ONE} = 2")
    change(chain, f"UPDATE audit_events SET sequence = 2 {ONE} = 4")
    change(chain, f"UPDATE audit_events SET sequence = 4 {ONE} = -2")
    found = "".join(problems(chain))
    assert "Event 2 " in found
    assert "Event 4 " in found


@pytest.mark.both_databases
def test_an_event_that_was_put_in_is_found(chain: Database) -> None:
    for sequence in (4, 5):  # makes room
        change(chain, f"UPDATE audit_events SET sequence = {sequence + 100} {ONE} = {sequence}")
    put_in(chain, 4)
    for sequence in (4, 5):
        change(chain, f"UPDATE audit_events SET sequence = {sequence + 1} {ONE} = {sequence + 100}")
    found = "".join(problems(chain))
    for sequence in (4, 5, 6):
        assert f"vent {sequence} " in found


@pytest.mark.both_databases
def test_an_event_that_was_put_in_with_a_hash_that_fits_breaks_the_next_link(
    chain: Database,
) -> None:
    third, fourth = events(chain)[2:4]
    forged = fourth._replace(action="position.put")
    change(
        chain,
        f"UPDATE audit_events SET action = 'position.put', hash = :hash {ONE} = 4",
        hash=hash_of(forged, str(third.hash)),
    )
    assert problems(chain) == ["Event 5 was changed or put in, or the one before it was."]


@pytest.mark.both_databases
def test_an_event_behind_the_end_is_found(chain: Database) -> None:
    put_in(chain, 6, hash_=NONE)
    found = "".join(problems(chain))
    assert "Event 6 " in found
    assert "behind event 5" in found


def test_an_event_in_a_place_that_is_taken_is_found(chain: Database) -> None:
    change(chain, "DROP INDEX audit_events_chain")
    for sequence in (1, 3, 5, "third", 2.5):
        put_in(chain, sequence)
    found = problems(chain)
    for place in (1, 2.5, 3, 5, "third"):
        assert f"An event was put in at place {place}." in found
    add_events(chain, 1)
    assert set(found) <= set(problems(chain))


def put_in(database: Database, sequence: object, hash_: str | None = "f" * 64) -> None:
    change(
        database,
        "INSERT INTO audit_events (position, at, actor, action, subject, detail, sequence, hash)"
        " VALUES (:position, :at, 'system', 'position.put', '', '', :sequence, :hash)",
        at="2026-01-01T00:00:00.000000Z",
        sequence=sequence,
        hash=hash_,
    )


@pytest.mark.both_databases
def test_an_event_of_another_position_does_not_fit_into_a_chain(chain: Database) -> None:
    change(chain, f"DELETE FROM audit_events {ONE} = 2")
    change(
        chain,
        "UPDATE audit_events SET position = :position WHERE position = :other AND sequence = 2",
        other=position_digest("job-2"),
    )
    assert "Event 2 was changed" in "".join(problems(chain))
    assert problems(chain, "job-2") == ["Event 2 is missing."]


@pytest.mark.both_databases
def test_a_verification_goes_along_with_what_is_added_meanwhile(config: Config) -> None:
    verifying, adding = open_database(config), open_database(config)
    add_events(adding, 30)
    with ThreadPoolExecutor(2) as pool:

        def go_on() -> None:
            for _ in range(60):
                add_events(adding, 1)
                link(adding)

        under_way = pool.submit(go_on)
        while not under_way.done():
            assert problems(verifying) == []
        under_way.result()
    assert problems(verifying) == []
    verifying.close()
    adding.close()


@pytest.mark.long
def test_a_long_chain_is_verified_without_being_held_in_memory(
    database: Database, config: Config, database_path: Any
) -> None:
    rows, previous = [], NONE
    for number in range(1, 50_001):
        texts = ("2026-01-01T00:00:00.000000Z", "system", "transcript.read", "f" * 64, "")
        event = Event(number, POSITION, *texts, number, None)
        previous = hash_of(event, previous)
        rows.append(event._replace(hash=previous))
    connection = sqlite3.connect(database_path)
    with connection:
        connection.executemany(f"INSERT INTO audit_events VALUES ({'?, ' * 8}?)", rows)
        connection.execute("INSERT INTO audit_heads VALUES (?, 50000, ?)", (POSITION, previous))
    connection.close()
    del rows
    verification = Verification(database, POSITION, {})
    tracemalloc.start()
    assert list(verification.problems()) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verification.events == 50_000
    assert verification.head == Head(50_000, previous)
    assert peak < 3_000_000


def test_looking_for_loose_events_costs_a_look_into_an_index(chain: Database) -> None:
    with chain.reading() as session:
        for condition, found in (
            ("", "SCAN audit_events USING INDEX audit_events_loose"),  # it has nothing else
            (" AND position = 'p'", "SEARCH audit_events USING INDEX"),
        ):
            plan = session.execute(
                f"EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM audit_events WHERE sequence IS NULL"
                f"{condition} ORDER BY position, number LIMIT 1",
                {},
            ).fetchall()
            assert found in str(plan)
            assert "TEMP B-TREE" not in str(plan)


MakeApi = Callable[..., Any]


@pytest.mark.both_databases
def test_events_are_linked_in_the_background(make_api: MakeApi, database: Database) -> None:
    api = make_api(works=True)
    assert api.start().status == 200
    wait_until(lambda: events(database))
    assert [event.action for event in events(database)] == ["interview.started"]
