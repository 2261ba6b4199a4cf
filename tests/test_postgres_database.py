"""PostgreSQL: what it alone can do to us, by a server that is restarted, starved and silenced."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from api import ANA, PROMPT, Api
from config import Config
from conversations import conversing, go_on, told_of
from db import Database, InterviewKey, Messages, Session, TokenRevocations, open_database
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from postgresql import PostgresServer
from proxy import Loss, Proxy
from server import Gunicorn
from storage.errors import CommitUnknown, DatabaseUnavailable
from storage.postgres.database import (
    GRACE,
    NOW,
    ONE_ACCESS_KEY,
    ONE_INTERVIEW,
    SKIP_LOCKED,
    WRITE,
    translated,
)
from storage.postgres.schema import hash_of_interview

KEY = InterviewKey(*ANA.fields.values())
MakeApi = Callable[..., Api]
SECRET = "word-of-the-tests"
XID = "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


@pytest.fixture
def database_url(server: PostgresServer) -> Iterator[str]:
    """Every test here: a role without further rights, and a schema given by `search_path`."""
    with server.schema() as url:
        yield url


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


@pytest.fixture
def forgetful(server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that syncs only when it must."""
    server.reload(wal_writer_delay="10s")
    server.restart("fast")  # as it wakes up for the first commit after a pause
    yield server
    server.reload(wal_writer_delay="200ms")


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(database_url: str, server: PostgresServer, proxy: Proxy) -> str:
    """The test's database, reached over a network that may fail."""
    # Shortly after a crash, such as another test's, or its first start, the server does not vouch
    # for a commit.
    started = "SELECT stats_reset FROM pg_stat_bgwriter"
    while server.execute(f"SELECT ({started}) < clock_timestamp() - interval '{GRACE} s'") != [
        (True,)
    ]:
        time.sleep(0.05)
    return database_url.replace(f":{server.port}/", f":{proxy.port}/")


def lock(connection: psycopg.Connection, interview: InterviewKey) -> None:
    """Hold an interview's lock until the transaction ends."""
    expression = hash_of_interview(":")
    for name, value in interview._asdict().items():
        expression = expression.replace(f":{name}", f"'{value}'")
    connection.execute(f"SELECT pg_advisory_xact_lock({expression})".encode())


class TestCost:
    @pytest.mark.parametrize("key", ["", "k"])
    def test_a_reply_takes_two_commits_and_five_round_trips(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy, key: str
    ) -> None:
        api = make_api(database_url=proxied_url)
        api.start()
        assert api.reply("One").status == 200
        before = proxy.seen()
        assert api.reply("Two", key=key).status == 200
        cost = proxy.seen() - before
        before = proxy.seen()
        api.messages()
        read = proxy.seen() - before
        print(f"A reply: {cost}; a reading: {read}")
        assert (cost["commits"], cost["round trips"]) == (2, 5)
        assert cost["statements"] <= 13
        assert (read["commits"], read["round trips"]) == (0, 1)

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            (lambda messages: messages.of(KEY), "messages_interview"),
            (lambda messages: messages.newest(KEY), "messages_interview"),
            (lambda messages: messages.applicants(KEY.access_key), "messages_applicants"),
            (lambda messages: messages.applicants(KEY.access_key), "messages_finished"),
            (lambda messages: messages.finished(KEY.access_key), "messages_finished"),
            (lambda messages: messages.of_with_key(KEY, "k"), "idempotency_keys_key"),
        ],
    )
    def test_a_query_is_served_by_an_index(
        self,
        config: Config,
        admin: psycopg.Connection,
        query: Callable[[Messages], object],
        index: str,
    ) -> None:
        """No step of its plan may read a whole table."""
        open_database(config)
        admin.execute(
            "INSERT INTO messages (content, date_created, role, access_key, name, email,"
            " is_finished) SELECT 'x', '', 'user', 'job-' || i % 100, 'Ana ' || i % 1000, 'e',"
            " CASE WHEN i % 50 = 0 THEN 1 ELSE 0 END FROM generate_series(1, 10000) AS i"
        )
        admin.execute(
            "INSERT INTO idempotency_keys SELECT access_key, name, email, id, '', id FROM messages"
        )
        admin.execute("ANALYZE messages, idempotency_keys")
        plan: list[str] = []

        class Explained(Session):
            one_interview = ONE_INTERVIEW
            one_access_key = ONE_ACCESS_KEY
            skip_locked = SKIP_LOCKED
            now = NOW

            def execute(self, query: str, values: Mapping[str, object]) -> psycopg.Cursor[Any]:
                query = translated(query)
                plan.extend(row[0] for row in admin.execute(f"EXPLAIN {query}", values))
                return admin.execute(query, values)

            def keep_out(self, table: str) -> None:
                raise NotImplementedError

            def forget_samples(self, table: str, texts: Collection[str]) -> None:
                raise NotImplementedError

        query(Messages(Explained()))
        assert any(index in step for step in plan), plan
        assert not any("Seq Scan" in step for step in plan), plan


class TestFailure:
    @pytest.mark.long
    def test_nothing_acknowledged_is_lost_by_restarts_in_the_middle_of_load(
        self,
        make_server: Callable[..., Gunicorn],
        server: PostgresServer,
        rehearsal: Rehearsal,
    ) -> None:
        rehearsal.default = Behaviour(echo=True, delay=0.01)
        service = make_server().start()
        terminated = 0
        with conversing(service, 8) as conversations:
            for number in range(6):
                go_on(conversations)
                if number % 2:
                    terminated += server.terminate_backends()
                else:
                    server.restart("immediate")
            go_on(conversations)
        said = told_of(conversations, service)
        statuses = {status for conversation in conversations for status in conversation.statuses}
        print(f"3 restarts, {terminated} connections terminated: {said}")
        assert terminated > 0
        assert statuses == {200, 503}
        assert "Traceback" not in service.log.read_text()
        assert SECRET not in service.log.read_text()

    def test_a_connection_that_the_server_has_ended_is_replaced_before_it_is_used(
        self, api: Api, server: PostgresServer
    ) -> None:
        api.start()
        for number in range(3):
            assert server.terminate_backends() > 0
            assert api.reply(f"Hello {number}").status == 200
            server.restart("fast")
            assert len(api.messages()) == 4 + 2 * number

    def test_a_server_that_is_down_is_503_and_comes_back_by_itself(
        self, make_api: MakeApi, server: PostgresServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        api = make_api(database_lock_timeout=0.5)
        api.start()
        server.stop()
        try:
            for answer in (api.reply("Hello"), api.get("/readyz"), api.get("/get_applicants/j")):
                assert answer.status == 503
                assert "database is not available" in answer.body["error"]
                assert int(answer.headers["Retry-After"]) > 0
            assert api.get("/healthz").status == 200
        finally:
            server.start()
        until_it_answers(api)
        assert api.said() == [PROMPT, SCRIPT[0]]
        assert api.reply("Hello").status == 200
        assert SECRET not in caplog.text

    def test_a_server_gone_silent_is_503_and_comes_back_by_itself(
        self, make_api: MakeApi, server: PostgresServer
    ) -> None:
        api = make_api(database_lock_timeout=0.3, database_statement_timeout=0.3)
        api.start()
        with server.silent():
            assert api.reply("Hello").status == 503
            assert api.get("/readyz").status == 503
        until_it_answers(api)
        assert api.reply("Hello").status == 200
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]

    def test_an_interview_that_is_locked_is_503_and_others_go_on(
        self, make_api: MakeApi, admin: psycopg.Connection
    ) -> None:
        api = make_api(database_lock_timeout=0.3)
        api.start()
        mei = ANA.named("Mei")
        with admin.transaction():
            lock(admin, KEY)
            answer = api.reply("Hello")
            assert answer.status == 503
            assert "busy" in answer.body["error"]
            assert api.start(mei).status == 200
            assert api.reply("Hello", mei).status == 200
            assert api.said() == [PROMPT, SCRIPT[0]]
        assert api.reply("Hello").status == 200

    def test_a_statement_that_takes_too_long_is_ended(
        self, make_api: MakeApi, admin: psycopg.Connection
    ) -> None:
        api = make_api(database_statement_timeout=0.3)
        api.start()
        with admin.transaction():
            admin.execute("LOCK TABLE messages")
            for answer in (api.reply("Hello"), api.get("/get_applicants/job-1")):
                assert answer.status == 503
                assert "too long" in answer.body["error"]
        assert api.reply("Hello").status == 200

    def test_when_all_connections_of_a_process_are_taken_others_wait_and_are_refused(
        self, make_api: MakeApi, admin: psycopg.Connection
    ) -> None:
        api = make_api(database_lock_timeout=1.0, database_pool_size=1)
        api.start()
        mei = ANA.named("Mei")
        with ThreadPoolExecutor() as pool, admin.transaction():
            lock(admin, KEY)
            blocked = pool.submit(api.reply, "Hello")
            time.sleep(0.3)
            answers = [pool.submit(api.start, mei) for _ in range(3)]
            assert {answer.result().status for answer in [blocked, *answers]} <= {200, 400, 503}
            assert blocked.result().status == 503
        assert api.reply("Hello").status == 200
        assert api.start(mei).status in (200, 400)

    def test_no_connection_is_held_while_the_model_thinks(
        self, make_api: MakeApi, server: PostgresServer, rehearsal: Rehearsal
    ) -> None:
        api = make_api(database_pool_size=2)
        names = [ANA.named(f"Ana {number}") for number in range(12)]
        rehearsal.default = Behaviour(delay=1.0)
        with ThreadPoolExecutor(12) as pool:
            answers = [pool.submit(api.start, name) for name in names]
            while len(rehearsal.requests) < 12:
                time.sleep(0.01)
            states = server.execute("SELECT state FROM pg_stat_activity WHERE usename = 'tukma'")
            assert len(states) <= 2
            assert set(states) == {("idle",)}
            assert {answer.result().status for answer in answers} == {200}

    def test_a_process_that_freezes_in_a_transaction_loses_it(
        self, config: Config, make_api: MakeApi
    ) -> None:
        api = make_api()
        api.start()
        frozen = open_database(replace(config, database_statement_timeout=0.3))
        with pytest.raises(DatabaseUnavailable), frozen.transaction(KEY) as session:
            messages = Messages(session)
            messages.add(KEY, "user", "Never")
            messages.newest(KEY)
            assert api.reply("Hello").status == 200
        frozen.close()
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]

    def test_a_server_that_takes_no_more_connections_is_503_and_recovers(
        self, make_api: MakeApi, server: PostgresServer, database_url: str
    ) -> None:
        api = make_api(database_lock_timeout=0.5)
        api.start()
        server.terminate_backends()
        others = []
        with pytest.raises(psycopg.OperationalError, match="connection"):
            for _ in range(30):
                others.append(psycopg.connect(database_url))  # noqa: PERF401
        try:
            assert api.reply("Hello").status == 503
        finally:
            for other in others:
                other.close()
        until_it_answers(api)
        assert api.reply("Hello").status == 200
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]

    def test_the_checks_of_several_processes_do_not_wait_for_each_other(
        self, make_api: MakeApi, admin: psycopg.Connection
    ) -> None:
        api = make_api(database_lock_timeout=0.3)
        with admin.transaction():  # a process whose check takes its time
            admin.execute(WRITE)
            assert api.get("/readyz").status == 200

    def test_the_checks_of_a_process_take_one_place_of_the_pool(
        self, make_api: MakeApi, admin: psycopg.Connection, server: PostgresServer
    ) -> None:
        api = make_api(database_pool_size=2)
        api.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with ThreadPoolExecutor(8) as pool:
            with admin.transaction():
                admin.execute("LOCK TABLE schema_version")
                checks = [pool.submit(api.get, "/readyz") for _ in range(8)]
                while not server.execute(waiting):
                    assert not any(check.done() for check in checks)
                    time.sleep(0.01)
                assert api.reply("Hello").status == 200
                assert len(server.execute(waiting)) == 1
            assert {check.result().status for check in checks} == {200}

    def test_a_server_that_may_only_be_read_is_503_and_recovers(
        self, api: Api, server: PostgresServer
    ) -> None:
        api.start()
        server.execute("ALTER ROLE tukma SET default_transaction_read_only = on")
        try:
            server.terminate_backends()
            for answer in (api.reply("Hello"), api.get("/readyz")):
                assert answer.status == 503
                assert "read-only" in answer.body["error"]
            assert api.said() == [PROMPT, SCRIPT[0]]
        finally:
            server.execute("ALTER ROLE tukma RESET default_transaction_read_only")
        until_it_answers(api)
        assert api.reply("Hello").status == 200

    def test_what_the_server_was_told_to_forget_is_synced_all_the_same(
        self, database: Database, server: PostgresServer
    ) -> None:
        server.execute("ALTER ROLE tukma SET synchronous_commit = off")
        try:
            for number in range(5):
                with database.transaction(KEY) as session:
                    messages = Messages(session)
                    messages.add(KEY, "user", str(number))
                server.restart("immediate")
                with database.reading() as session:
                    messages = Messages(session)
                    assert len(messages.of(KEY)) == number + 1
        finally:
            server.execute("ALTER ROLE tukma RESET synchronous_commit")

    def test_a_message_is_synced_before_it_is_told_that_the_model_failed(
        self, api: Api, forgetful: PostgresServer, rehearsal: Rehearsal
    ) -> None:
        api.start()
        rehearsal.misbehave("cut_off")
        assert api.reply("Hello").status == 500
        forgetful.restart("immediate")
        assert api.said() == [PROMPT, SCRIPT[0], "Hello"]

    def test_nul_is_an_error_of_ours_and_breaks_nothing(self, database: Database) -> None:
        with pytest.raises(psycopg.DataError), database.transaction(KEY) as session:
            messages = Messages(session)
            messages.add(KEY, "user", "Hello")
            messages.add(KEY, "user", "a\0b")
        with database.reading() as session:
            messages = Messages(session)
            assert messages.of(KEY) == []
        with database.transaction(KEY) as session:
            messages = Messages(session)
            messages.add(KEY, "user", "Hello")


ERROR = "The database is not available (the connection to it broke). "
NOT_STORED = ERROR + "What was stored before is kept. Please try again."
NOT_KNOWN = (
    ERROR + "Whether this request was stored is not known; please send it again with the same"
    " Idempotency-Key."
)


class TestLostCommit:
    """A connection that breaks while a COMMIT is under way: its outcome is asked for."""

    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
    @pytest.mark.parametrize("commit", [0, 1], ids=["message", "answer"])
    def test_a_reply_whose_commit_is_not_acknowledged_is_answered_and_is_one_turn(
        self,
        make_api: MakeApi,
        proxied_url: str,
        proxy: Proxy,
        rehearsal: Rehearsal,
        streamed: bool,
        commit: int,
    ) -> None:
        api = make_api(database_url=proxied_url)
        api.start()
        proxy.lose_commit(Loss.ANSWER, after=commit)
        if streamed:
            assert streamed_reply(api, "Hello").endswith(
                f'event: done\ndata: {{"system":"{SCRIPT[1]}"}}\n\n'
            )
        else:
            assert api.reply("Hello").body == {"system": SCRIPT[1]}
        assert proxy.lost.is_set()
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]
        assert len(rehearsal.requests) == 2

    def test_a_start_whose_commit_is_not_acknowledged_is_answered(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy
    ) -> None:
        api = make_api(database_url=proxied_url)
        proxy.lose_commit(Loss.ANSWER)
        assert api.start().body["system"] == SCRIPT[0]
        assert api.said() == [PROMPT, SCRIPT[0]]

    def test_a_commit_that_is_still_under_way_is_waited_for(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy, server: PostgresServer
    ) -> None:
        api = make_api(database_url=proxied_url)
        api.start()
        proxy.lose_commit(Loss.LATE, after=1)
        with ThreadPoolExecutor() as pool:
            reply = pool.submit(api.reply, "Hello")
            assert proxy.lost.wait(10)
            asking = (
                "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_xact_status%' AND pid <> "
            )
            while not server.execute(asking + "pg_backend_pid()"):
                assert not reply.done()
                time.sleep(0.01)
            proxy.release.set()
            assert reply.result().body == {"system": SCRIPT[1]}
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]

    def test_a_commit_that_never_arrived_is_503_and_nothing_is_stored(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy
    ) -> None:
        api = make_api(database_url=proxied_url)
        api.start()
        proxy.lose_commit(Loss.BEFORE)
        answer = api.reply("Hello")
        assert (answer.status, answer.body) == (503, {"error": NOT_STORED})
        assert api.said() == [PROMPT, SCRIPT[0]]
        assert api.reply("Hello").status == 200

    @pytest.mark.parametrize("commit", [0, 1], ids=["message", "answer"])
    def test_where_the_outcome_cannot_be_known_the_503_does_not_claim_it(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy, rehearsal: Rehearsal, commit: int
    ) -> None:
        api = make_api(database_url=proxied_url, database_lock_timeout=0.3)
        api.start()
        proxy.lose_commit(Loss.ANSWER, after=commit, then_refuse=True)
        answer = api.reply("Hello", key="k")
        assert (answer.status, answer.body) == (503, {"error": NOT_KNOWN})
        proxy.accept_again()
        until_it_answers(api)
        assert api.reply("Hello", key="k").body == {"system": SCRIPT[1]}
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]
        assert len(rehearsal.requests) == 2

    def test_a_stream_whose_outcome_cannot_be_known_ends_with_that_error(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy
    ) -> None:
        api = make_api(database_url=proxied_url, database_lock_timeout=0.3)
        api.start()
        proxy.lose_commit(Loss.ANSWER, after=1, then_refuse=True)
        assert streamed_reply(api, "Hello").endswith(
            f'event: error\ndata: {{"error":"{NOT_KNOWN}"}}\n\n'
        )

    def test_a_commit_that_stays_under_way_is_not_waited_for_without_end(
        self, make_api: MakeApi, proxied_url: str, proxy: Proxy
    ) -> None:
        api = make_api(database_url=proxied_url, database_lock_timeout=0.3)
        api.start()
        proxy.lose_commit(Loss.LATE)
        assert api.reply("Hello").body == {"error": NOT_KNOWN}
        proxy.release.set()

    def test_a_transaction_that_reads_nothing_is_asked_for_as_well(
        self, config: Config, proxied_url: str, proxy: Proxy
    ) -> None:
        database = open_database(replace(config, database_url=proxied_url))
        proxy.lose_commit(Loss.ANSWER)
        with database.transaction() as session:
            TokenRevocations(session).add("one")
        assert proxy.lost.is_set()
        with database.reading() as session:
            assert TokenRevocations(session).count("one") == 1
        database.close()

    def test_the_same_number_given_again_after_a_crash_is_not_taken_for_the_commit(
        self, database: Database, forgetful: PostgresServer, admin: psycopg.Connection
    ) -> None:
        """A server that crashes forgets the transactions that it has not synced."""
        with pytest.raises(CommitUnknown), database.transaction(KEY) as session:
            Messages(session).add(KEY, "user", "Never")
            (number,) = session.execute(XID, {}).fetchone()  # type: ignore[misc]
            forgetful.restart("immediate")
            with psycopg.connect(forgetful.admin_url, autocommit=True) as other:
                newest = 0
                while newest < number:
                    ((newest,),) = other.execute(XID)
                assert newest == number
        with database.reading() as session:
            assert Messages(session).of(KEY) == []

    def test_a_reading_session_takes_no_transaction_number(self, database: Database) -> None:
        """The numbers are finite, and PostgreSQL must freeze rows before they come round."""
        with database.reading() as session:
            rows = session.execute("SELECT pg_current_xact_id_if_assigned()", {})
            assert rows.fetchone() == (None,)


def streamed_reply(api: Api, message: str) -> str:
    """Return the events of a reply."""
    headers = {"Accept": "text/event-stream"}
    response = api.raw("POST", "/reply", json={**ANA.fields, "message": message}, headers=headers)
    text: str = response.text
    return text


def until_it_answers(api: Api) -> None:
    for _ in range(100):
        if api.get("/readyz").status == 200:
            return
        time.sleep(0.1)
    raise AssertionError("it does not come back")
