"""Both databases return what was stored, as it was stored."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from config import Config
from db import Applicant, Database, InterviewKey, Message, Messages, TokenRevocations, open_database

pytestmark = pytest.mark.both_databases

KEY = InterviewKey("job-1", "Ana", "ana@example.com")


@contextmanager
def opened(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    with opened(config) as database:
        yield database


def contents(database: Database, interview: InterviewKey = KEY) -> list[str]:
    with database.reading() as session:
        messages = Messages(session)
        return [message.content for message in messages.of(interview)]


def test_a_transaction_that_fails_stores_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction(KEY) as session:
        messages = Messages(session)
        messages.add(KEY, "system", "Hello")
        raise RuntimeError
    assert contents(database) == []
    with database.transaction(KEY) as session:
        messages = Messages(session)
        messages.add(KEY, "system", "Hello")
    assert contents(database) == ["Hello"]


def test_a_snapshot_stays_as_it_was_when_it_was_first_read(config: Config) -> None:
    with opened(config) as database, opened(config) as other:
        for words in ("One", "Two"):
            with other.transaction(KEY) as session:
                Messages(session).add(KEY, "user", words)
        with database.snapshot() as session:
            first = Messages(session).of(KEY)
            for process in (other, database):
                with process.transaction(KEY) as writing:
                    Messages(writing).add(KEY, "user", "Later")
            assert Messages(session).of(KEY) == first
            assert Messages(session).newest(KEY) == first[-1]
        assert contents(database) == ["One", "Two", "Later", "Later"]


def test_a_snapshot_that_fails_leaves_its_connection_as_good_as_before(config: Config) -> None:
    config = replace(config, database_pool_size=1)
    with opened(config) as database:
        for _ in range(10):
            with pytest.raises(RuntimeError), database.snapshot() as session:
                Messages(session).of(KEY)
                raise RuntimeError
        with database.transaction(KEY) as session:
            Messages(session).add(KEY, "user", "Hello")
        with database.snapshot() as session:
            assert Messages(session).newest(KEY) is not None


def test_a_message_is_read_as_it_was_stored(config: Config) -> None:
    texts = ["", " ", "Hello  ", "line\r\nbreak", 'It\'s "so" % %s %(x)s :name ? \\ $1', "żółw 🦊𝄞"]
    with opened(config) as database:
        with database.transaction(KEY) as session:
            messages = Messages(session)
            added = [messages.add(KEY, "user", text, is_finished=True) for text in texts]
        assert [message.content for message in added] == texts
    with opened(config) as database, database.reading() as session:
        messages = Messages(session)
        assert messages.of(KEY) == added
        assert messages.newest(KEY) == added[-1]


def test_a_place_is_filled_and_what_was_in_it_is_kept_outside(database: Database) -> None:
    with database.transaction(KEY) as session:
        messages = Messages(session)
        first = messages.add(KEY, "system", "Old")
        last = messages.add(KEY, "system", "")
    with database.transaction(KEY) as session:
        messages = Messages(session)
        messages.set_aside(KEY, first)
        messages.fill(first.id, "New")
        messages.fill(last.id, "Goodbye", is_finished=True)
    with database.reading() as session:
        messages = Messages(session)
        stored = messages.of(KEY)
        assert [(m.id, m.content, m.is_finished) for m in stored] == [
            (first.id, "New", 0),
            (last.id, "Goodbye", 1),
        ]
        assert messages.newest(KEY) == stored[-1]
        assert messages.applicants("job-1") == [Applicant("Ana", "ana@example.com", True)]


ALIKE = [
    *("Ana", "ana", "ANA", "Ana ", " Ana", "Ána", "A\u0301na", "Ａna", "Ana\u200b", "Ana\t"),
    *("ß", "ss", "ẞ", "İ", "i", "I", "ı", "%", "_", "'", "\\", "😀", "😁"),
]


def test_names_that_look_alike_are_different_interviews_in_every_place(database: Database) -> None:
    keys = [
        InterviewKey(*parts) for name in ALIKE for parts in (("j", name, "e"), (name, "n", "e"))
    ]
    keys += [InterviewKey("j", "n", name) for name in ALIKE]
    keys += [
        InterviewKey("ab", "c", "d"),
        InterviewKey("a", "bc", "d"),
        InterviewKey("a", "b", "cd"),
    ]
    for key in keys:
        with database.transaction(key) as session:
            messages = Messages(session)
            messages.add(key, "system", "|".join(key))
    for key in keys:
        assert contents(database, key) == ["|".join(key)]
    with database.reading() as session:
        messages = Messages(session)
        assert [a.name for a in messages.applicants("j") if a.email == "e"] == ALIKE
        assert len(messages.applicants("Ana")) == 1


def test_the_longest_names_are_kept_apart_and_listed(database: Database) -> None:
    """Each of the three has 320 characters of four bytes, and differs in its last alone."""
    long = "\U0001f98a" * 319
    keys = [InterviewKey(long + a, long + b, long + c) for a in "xy" for b in "xy" for c in "xy"]
    for key in keys:
        with database.transaction(key) as session:
            messages = Messages(session)
            message = messages.add(key, "system", "Hello", is_finished=True)
            messages.remember_key(key, "\U0001f98a" * 255, "request", message.id)
    for key in keys:
        with database.reading() as session:
            messages = Messages(session)
            (stored,), known = messages.of_with_key(key, "\U0001f98a" * 255)
        assert known == ("request", stored.id)
    with database.reading() as session:
        messages = Messages(session)
        for access_key in (long + "x", long + "y"):
            expected = [
                Applicant(k.name, k.email, True) for k in keys if k.access_key == access_key
            ]
            assert messages.applicants(access_key) == messages.finished(access_key) == expected


def test_applicants_are_listed_once_in_the_order_of_their_first_message(database: Database) -> None:
    names = ["Zoe", "ana", "Mei", "Ána", "Bob"]
    keys = [InterviewKey("job-1", name, "e") for name in names]
    for is_finished in (False, True):
        for key in keys if not is_finished else (keys[3], keys[1]):
            with database.transaction(key) as session:
                messages = Messages(session)
                messages.add(key, "system", "Hello", is_finished=is_finished)
                messages.add(key, "system", "Again", is_finished=is_finished)
    with database.reading() as session:
        messages = Messages(session)
        listed = messages.applicants("job-1")
        assert [(a.name, a.is_finished) for a in listed] == [
            (name, name in ("Ána", "ana")) for name in names
        ]
        assert [a.name for a in messages.finished("job-1")] == ["Ána", "ana"]
        assert messages.applicants("job-2") == messages.finished("job-2") == []


def test_ids_ascend_in_the_order_of_storing_whoever_stores(config: Config) -> None:
    """Each writer sees what is stored, and nothing is ever stored in front of what was seen."""
    keys = [KEY, KEY._replace(name="Mei")]
    with opened(config) as one, opened(config) as other:

        def store(number: int) -> list[Message]:
            key = keys[number % 2]
            with (one, other)[number // 2 % 2].transaction(key) as session:
                messages = Messages(session)
                seen = messages.of(key)
                return [*seen, messages.add(key, "user", str(number))]

        with ThreadPoolExecutor(8) as pool:
            views = list(pool.map(store, range(120)))
        for key in keys:
            with one.reading() as session:
                messages = Messages(session)
                stored = messages.of(key)
            assert len(stored) == 60
            assert [m.id for m in stored] == sorted(m.id for m in stored)
            of_key = sorted((view for view in views if view[-1] in stored), key=len)
            assert of_key == [stored[: length + 1] for length in range(60)]
        with one.reading() as session:
            messages = Messages(session)
            assert len(messages.applicants("job-1")) == 2


def test_only_one_message_is_an_interviews_first_even_without_its_lock(config: Config) -> None:
    with opened(config) as database:

        def store(_: int) -> None:
            with database.transaction() as session:
                messages = Messages(session)
                messages.add(KEY, "system", "Hello")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store, range(20)))
        with database.reading() as session:
            messages = Messages(session)
            assert messages.applicants("job-1") == [Applicant("Ana", "ana@example.com", False)]


def test_a_key_belongs_to_one_interview_and_to_its_own_case(database: Database) -> None:
    for key in (KEY, KEY._replace(name="Mei")):
        with database.transaction(key) as session:
            messages = Messages(session)
            message = messages.add(key, "user", "Hello")
            messages.remember_key(key, "k", key.name, message.id)
        with database.reading() as session:
            messages = Messages(session)
            stored, known = messages.of_with_key(key, "k")
            assert known == (key.name, message.id)
            assert stored == [message]
            assert messages.of_with_key(key, "K") == ([message], None)
    with pytest.raises(Exception, match=r"(?i)unique"), database.transaction(KEY) as session:
        messages = Messages(session)
        messages.remember_key(KEY, "k", "again", message.id)


def test_revocations_are_counted_for_each_interview(database: Database) -> None:
    def revoke(_: int) -> None:
        with database.transaction() as session:
            revocations = TokenRevocations(session)
            revocations.add("one")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(revoke, range(10)))
    with database.transaction() as session:
        revocations = TokenRevocations(session)
        revocations.add("other")
    with database.reading() as session:
        revocations = TokenRevocations(session)
        assert [revocations.count(name) for name in ("one", "other", "none")] == [10, 1, 0]


def test_it_can_be_used_again_after_it_was_closed(database: Database) -> None:
    for _ in range(2):
        with database.transaction(KEY) as session:
            messages = Messages(session)
            messages.add(KEY, "user", "Hello")
        database.check_writable()
        database.close()
    assert contents(database) == ["Hello"] * 2
