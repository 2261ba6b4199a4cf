"""Erasing: nothing is left of somebody who was erased, and nothing of anybody else is lost."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from threading import Event
from typing import Any

import psycopg
import pytest

from access.applicant_tokens import ApplicantTokens
from access.rate_limits import RateLimits
from api import ANA, PROMPT, Api, Applicant
from background.jobs import Jobs, LeaseLost
from config import Config
from db import Database, InterviewKey, open_database, position_digest
from erased import Interrupted, erase, erased, key_of, path_of, tables, traces
from interviews.errors import Erased
from interviews.interview import Interviews
from interviews.turns import whole
from invitations.errors import NotInvited
from invitations.inviting import invite
from llm import LLM
from openai_api.rehearsal import Behaviour, Rehearsal
from records import erasing
from records.erasing import erase as erase_person
from records.errors import UnknownApplicant
from rooms import AUTHORIZED, WITH_KEYS, invited, post
from scorecards.handler import ScorecardHandler
from scorecards.scorecard import JOB_KIND
from scored import hold, put_position, request_scorecard, scored
from storage.personal_data import NOT_PERSONAL, PERSONAL, SCHEMA_TABLES
from storage.sqlite.driver import sqlite3
from waiting import wait_until

BEN = Applicant(name="Ben Okafor", email="ben@example.com")


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


@pytest.mark.both_databases
def test_an_erasure_is_answered_with_a_receipt_and_cannot_be_repeated(api: Api) -> None:
    assert api.start().status == 200
    assert api.reply("I am a nurse.").status == 200
    receipt = erased(api)
    assert set(receipt) == {"receipt_id", "erased_at", "rows", "digest"}
    assert receipt["rows"] == {"messages": 4}
    assert receipt["digest"] == key_of().digest()
    assert api.messages() == []
    assert api.status() == "uninitiated"
    again = erase(api)
    assert (again.status, again.body) == (
        404,
        {
            "error": "There is no such applicant: nobody with this name and address was invited"
            " or heard."
        },
    )


@pytest.mark.both_databases
def test_the_trail_keeps_that_somebody_was_erased_and_not_who(
    api: Api, database: Database, database_url: str
) -> None:
    assert api.start().status == 200
    receipt = erased(api)
    with database.reading() as session:
        rows = session.execute(
            "SELECT position, action, subject, detail FROM audit_events"
            " WHERE action = 'interview.erased'",
            {},
        ).fetchall()
    assert [(row[0], row[1], row[2], json.loads(row[3])) for row in rows] == [
        (
            position_digest(ANA.access_key),
            "interview.erased",
            receipt["digest"],
            {"receipt_id": receipt["receipt_id"], "rows": 2},
        )
    ]
    assert traces(database_url, ANA.name, ANA.email) == set()


@pytest.mark.both_databases
def test_every_table_is_declared_to_be_personal_or_not(api: Api, database_url: str) -> None:
    declared = PERSONAL.keys() | NOT_PERSONAL.keys() | SCHEMA_TABLES
    assert tables(database_url).keys() - {"pg_stats"} <= declared
    assert not PERSONAL.keys() & NOT_PERSONAL.keys()


@pytest.mark.both_databases
def test_every_row_of_one_goes_and_every_row_of_another_stays(
    api: Api, database: Database, database_url: str
) -> None:
    for applicant in (ANA, BEN):
        assert api.start(applicant).status == 200
        fill(database, applicant)
    before = rows_of(database_url, BEN)
    assert before.keys() == PERSONAL.keys()
    end_holds(database)

    receipt = erased(api)
    assert receipt["rows"].keys() == PERSONAL.keys()
    assert traces(database_url, ANA.name, ANA.email, f"words of {ANA.name}") == set()
    assert rows_of(database_url, BEN).keys() == PERSONAL.keys()
    assert len(api.messages(BEN)) == 3


def fill(database: Database, applicant: Applicant) -> None:
    """Let every table that holds personal data have a row of the applicant, whatever it is for."""
    key = key_of(applicant)
    (message_id,) = first(database, "SELECT MIN(id) FROM messages WHERE name = :name", key)
    known: dict[str, object] = {
        **key._asdict(),
        "interview": key.digest(),
        "position": position_digest(key.access_key),
        "scorecard": f"scorecard of {key.digest()}",
        "subject": f"scorecard of {key.digest()}",
        "message_id": message_id,
        "role": "user",
        "is_first": 0,
        "is_finished": 0,
    }
    for table in reversed(PERSONAL):  # what others refer to comes first
        with database.transaction(key) as session:
            columns = columns_of(database, table)
            values = {
                column: known.get(column, 1 if is_number else f"words of {applicant.name}")
                for column, is_number in columns.items()
            }
            if table == "scorecards":
                values["id"] = known["scorecard"]
            session.execute(
                f"INSERT INTO {table} ({', '.join(values)})"
                f" VALUES ({', '.join(f':{column}' for column in values)})",
                values,
            )


def first(database: Database, query: str, key: InterviewKey) -> tuple[Any, ...]:
    with database.reading() as session:
        row = session.execute(query, key._asdict()).fetchone()
    assert row is not None
    return row


def columns_of(database: Database, table: str) -> dict[str, bool]:
    """The columns that a row must be given, and whether each holds a number."""
    with database.reading() as session:
        if database.must_be_wiped:
            rows = session.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}')", {})
            return {
                name: kind in ("INTEGER", "REAL")
                for name, kind, place in rows.fetchall()
                if not (place and kind == "INTEGER" and name in ("id", "number"))
            }
        rows = session.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = :table"
            " AND is_identity = 'NO'",
            {"table": table},
        )
        return {name: kind != "text" for name, kind in rows.fetchall()}


def end_holds(database: Database) -> None:
    with database.transaction() as session:
        session.execute("UPDATE legal_holds SET ended_at = '2026-11-24'", {})


def rows_of(url: str, applicant: Applicant) -> dict[str, int]:
    """The number of rows that each table has of an applicant."""
    marks = {
        applicant.name,
        key_of(applicant).digest(),
        f"scorecard of {key_of(applicant).digest()}",
    }
    counts = {
        table: sum(bool(marks & set(row)) for row in rows)
        for table, rows in tables(url).items()
        if table in PERSONAL
    }
    return {table: count for table, count in counts.items() if count}


UNUSUAL = (
    "ab/c'd\"e;--%00 %2F ＜b> \\ \U0001f469\u200d\u2695\ufe0f"
    " \u05d0\u05d1\u05d2 \u4e2d\u6587 \u0301x\u200b"
)
KINDS = {
    "plain": ("Ana Quillfeather", "ana.quillfeather@example.com", "I nursed quokkas."),
    "accents": ("Žofie Ďáblová-Nǧọ", "žofie@příklad.example", "Přešla jsem přes ůpatí."),
    "slashes": ("a//b/c//qx", "slashes+qx@example.com", "path/to//the/qx"),
    "unusual": (UNUSUAL, f"x@{UNUSUAL.replace('/', '')}", UNUSUAL * 3),
    "line breaks": ("first\nsecond\r\nqthird\t", "q\n@example.com", "one\n\n\ntwo\r\nqqq"),
    "long": ("Ж" * 320, "y" * 308 + "@example.com", "Lorem ipsum qdolor " * 1000),
    "short": ("Ω", "ω", "ψ"),
    "overflowing": ("Ana Overflow", "overflow@example.com", "Überfluß " * 2200),
    "spaces": ("  Ana   Spacey ", " spacey@example.com ", "   qspacey   "),
}


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_of_name_address_or_words_is_left(
    make_api: Callable[..., Api], rehearsal: Rehearsal, database_url: str, kind: str
) -> None:
    # Enough for the longest words, said several times.
    api = make_api(
        max_message_chars=50_000, max_transcript_chars=500_000, closing_phrase="never said"
    )
    rehearsal.default = Behaviour(echo=True)
    name, email, words = KINDS[kind]
    applicant = Applicant(name=name, email=email)
    others = [BEN.named(f"Other {number}") for number in range(8)]
    for other in others:
        assert api.start(other).status == 200
    assert api.start(applicant, prompt=f"Interview! {words}").status == 200
    for number in range(3):
        for speaker in (*others, applicant):
            said = f"{words} {number}" if speaker is applicant else f"Other words {number}"
            assert api.reply(said, speaker).status == 200
    transcripts = [api.said(other) for other in others]
    piece = words[:24]  # long texts are spread over the pages of a file
    assert traces(database_url, name, email, piece) == {name, email, piece}

    receipt = erased(api, applicant)
    assert receipt["rows"] == {"messages": 8}
    assert traces(database_url, name, email, piece) == set()
    assert [api.said(other) for other in others] == transcripts


@pytest.mark.both_databases
def test_what_was_set_aside_and_the_keys_of_requests_go_too(
    api: Api, database: Database, database_url: str
) -> None:
    assert api.start(key="start-qkey").status == 200
    assert api.reply("Hello", key="reply-qkey").status == 200
    with database.transaction(key_of()) as session:
        session.execute(
            "INSERT INTO messages (role, content, date_created, access_key, name, email)"
            " VALUES ('aside', 'Set aside', '2026-11-24', :access_key, :name, :email)",
            key_of()._asdict(),
        )
    assert erased(api)["rows"] == {"idempotency_keys": 2, "messages": 5}
    assert traces(database_url, "Set aside", "start-qkey", "reply-qkey", ANA.name) == set()


@pytest.mark.both_databases
def test_a_scorecard_goes_with_its_reviews_and_what_the_model_answered(
    make_api: Callable[..., Api], rehearsal: Rehearsal, database_url: str
) -> None:
    api = make_api(works=True)
    put_position(api)
    words = "I check the quokka's blood pressure before I give any medicine."
    hold(api, rehearsal, words, "That is all.")
    scorecard = scored(api)
    review = {
        "id": scorecard["id"],
        "criterion": "judgement",
        "score": 2,
        "reason": "The quokka was not hers.",
        "reviewer": "Rosalind Reviewer",
    }
    assert api.post("/review_scorecard", {**ANA.fields, **review}).status == 200
    decision = {"decision": "selected", "reason": "Decided qso.", "reviewer": "Dora Decider"}
    assert api.post("/decide", {**ANA.fields, **decision}).status == 200

    rows = erased(api)["rows"]
    assert rows == {"scorecard_reviews": 1, "scorecards": 1, "decisions": 1, "messages": 6}
    gone = ("quokka", "Rosalind Reviewer", "Decided qso.", "Dora Decider", ANA.name, ANA.email)
    assert traces(database_url, *gone) == set()
    assert api.get(f"/get_scorecard/{ANA.path}").status == 404
    assert ANA.email not in json.dumps(api.get(f"/get_scorecards/{ANA.access_key}").body)


@pytest.mark.both_databases
def test_a_person_who_was_invited_and_never_started_is_erased_too(
    make_api: Callable[..., Api], database_url: str
) -> None:
    api = make_api()
    put_position(api)
    link = invited(api, metadata={"note": "met at the qfair"})
    assert erased(api)["rows"] == {"invitations": 1}
    assert traces(database_url, ANA.name, ANA.email, "qfair") == set()
    answer = api.post("/open_invitation", {"secret": link.partition("#")[2]})
    assert (answer.status, answer.body["reason"]) == (404, "unknown")


@pytest.mark.both_databases
def test_the_tokens_of_the_interview_open_nothing_any_more(make_api: Callable[..., Api]) -> None:
    api = make_api(**WITH_KEYS)
    put = api.raw(
        "PUT",
        f"/positions/{ANA.access_key}",
        json={"title": "Nurse", "prompt": PROMPT},
        headers={"X-API-Key": "a-recruiters-key"},
    )
    assert put.status_code == 200
    token = post(api, "/applicant_token", ANA.fields).body["token"]
    with_token = {"Authorization": f"Bearer {token}"}
    assert post(api, "/start_interview", ANA.fields, with_token).status == 200
    assert erase(api, headers=with_token).status == 403
    erased(api, headers={"X-API-Key": "a-recruiters-key"})
    answer = post(api, "/start_interview", ANA.fields, with_token)
    assert (answer.status, answer.body) == (401, {"error": "The token has been revoked."})


@pytest.mark.both_databases
def test_the_same_person_may_be_started_again_as_a_new_interview(api: Api) -> None:
    assert api.start(prompt="The first prompt", key="start").status == 200
    assert api.reply("My first answer", key="reply").status == 200
    first = erased(api)
    assert api.start(prompt="The second prompt", key="start").status == 200
    assert api.reply("My second answer", key="reply").status == 200
    assert api.said()[0::2] == ["The second prompt", "My second answer"]
    second = erased(api)
    assert second["receipt_id"] != first["receipt_id"]
    assert second["digest"] == first["digest"]
    assert erase(api).status == 404


class Turns:
    """Turns of Ana's, during which she is erased before a step of theirs."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = config
        self._database = database
        self.llm = LLM(config)
        self.erased = 0

    def interviews(self, step: int = 0) -> tuple[Interviews, Interrupted]:
        database = Interrupted(self._database, step, self._erase)
        return Interviews(database, self.llm, self._config), database

    def _erase(self) -> None:
        try:
            erase_person(self._database, key_of())
        except UnknownApplicant:
            return
        self.erased += 1


@pytest.fixture
def turns(config: Config, database: Database) -> Iterator[Turns]:
    turns = Turns(config, database)
    yield turns
    turns.llm.close()


@pytest.mark.both_databases
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("step", [2, 3])
def test_a_start_stores_nothing_if_its_person_is_erased_meanwhile(
    turns: Turns,
    database: Database,
    database_url: str,
    make_api: Callable[..., Api],
    streamed: bool,
    key: str | None,
    step: int,
) -> None:
    put_position(make_api())
    invite(database, ANA.access_key, [(key_of(), {})], 3600)
    interviews, interrupted = turns.interviews(step)
    if step == 2:  # the transaction that stores prompt and opening
        with pytest.raises(Erased):
            whole(interviews.start(key_of(), PROMPT, key, streamed=streamed))
        assert turns.erased == 1
        assert traces(database_url, ANA.name, ANA.email) == set()
    else:
        whole(interviews.start(key_of(), PROMPT, key, streamed=streamed))
    assert interrupted.has_happened == (step == 2)


@pytest.mark.both_databases
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("restarted", [False, True], ids=["gone", "started again"])
def test_a_reply_stores_nothing_if_its_person_is_erased_meanwhile(
    turns: Turns,
    database: Database,
    database_url: str,
    config: Config,
    rehearsal: Rehearsal,
    streamed: bool,
    restarted: bool,
) -> None:
    plain, _ = turns.interviews()
    whole(plain.start(key_of(), "The first prompt"))

    def happen() -> None:
        erase_person(database, key_of())
        if restarted:
            whole(plain.start(key_of(), "The second prompt"))

    # Its first step stores the message, the second one is to store the answer.
    rehearsal.default = Behaviour(echo=True)
    interviews = Interviews(Interrupted(database, 2, happen), turns.llm, config)
    told: list[str] = []
    with pytest.raises(Erased):
        for pieces in interviews.reply(key_of(), "My qwords", streamed=streamed):
            told += pieces
    assert "The second prompt" not in "".join(told)
    assert traces(database_url, "qwords", "The first prompt") == set()
    said = [message.content for message in plain.transcript(key_of())]
    assert said[:1] == (["The second prompt"] if restarted else [])
    assert len(said) == (2 if restarted else 0)


@pytest.mark.both_databases
def test_a_reply_that_comes_too_late_finds_no_interview(turns: Turns, database_url: str) -> None:
    plain, _ = turns.interviews()
    whole(plain.start(key_of(), PROMPT))
    interviews, _ = turns.interviews(1)
    with pytest.raises(Exception, match="no interview history"):
        whole(interviews.reply(key_of(), "My qwords"))
    assert traces(database_url, "qwords", ANA.name) == set()


@pytest.mark.both_databases
@pytest.mark.parametrize("step", range(1, 10))
def test_a_scorecard_under_way_ends_quietly_and_stores_nothing(
    make_api: Callable[..., Api],
    config: Config,
    database: Database,
    database_url: str,
    rehearsal: Rehearsal,
    step: int,
) -> None:
    api = make_api()
    put_position(api)
    hold(api, rehearsal, "I check the quokka's blood pressure before I give any medicine.", "Bye.")
    request_scorecard(api)
    happen = partial(erase_person, database, key_of())
    interrupted = Interrupted(database, step, happen)
    llm = LLM(config)
    with database.transaction() as session:
        job = Jobs(session).claim(JOB_KIND, "lease", 60)
    assert job is not None
    handler = ScorecardHandler(interrupted, llm, config)
    with suppress(LeaseLost):
        handler.run(job, lambda: True)
    llm.close()
    if not interrupted.has_happened:  # it was over by then
        happen()
    assert traces(database_url, "quokka", ANA.name, ANA.email) == set()
    assert rows_of(database_url, ANA) == {}


@pytest.mark.both_databases
def test_what_is_done_to_an_applicant_who_was_erased_is_not_found(
    make_api: Callable[..., Api], rehearsal: Rehearsal, database_url: str
) -> None:
    api = make_api(works=True)
    put_position(api)
    hold(api, rehearsal, "I check the quokka's blood pressure before I give any medicine.", "Bye.")
    scorecard = scored(api)
    erased(api)
    review = {"id": scorecard["id"], "criterion": "judgement", "score": 2}
    words = {"reason": "Written back qso.", "reviewer": "Rosalind Reviewer"}
    for path, body in (
        ("/review_scorecard", {**review, **words}),
        ("/decide", {"decision": "selected", **words}),
        ("/score_interview", {}),
        ("/legal_hold", {"hold": True, **words}),
        ("/reply", {"message": "Written back qso."}),
    ):
        assert api.post(path, {**ANA.fields, **body}).status == 404, path
    assert traces(database_url, "qso", ANA.name, ANA.email) == set()


@pytest.mark.both_databases
def test_a_link_that_is_opened_while_its_person_is_erased_gives_no_token_that_lasts(
    make_api: Callable[..., Api], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(**WITH_KEYS)
    put = {"title": "Nurse", "prompt": PROMPT}
    api.raw("PUT", f"/positions/{ANA.access_key}", json=put, headers=AUTHORIZED)
    secret = invited(api).partition("#")[2]
    issue = ApplicantTokens.issue

    def erase_first(tokens: ApplicantTokens, *arguments: Any) -> Any:
        erase_person(database, key_of())
        return issue(tokens, *arguments)

    monkeypatch.setattr(ApplicantTokens, "issue", erase_first)
    answer = api.post("/open_invitation", {"secret": secret})
    assert (answer.status, answer.body["reason"]) == (404, "unknown")


class TestSamples:
    """What databases keep of rows to plan queries by."""

    def test_postgresqls_statistics_hold_nothing_of_the_person(
        self, on_target: Callable[..., Api], target: Config
    ) -> None:
        api = on_target()
        applicants = [ANA, *(BEN.named(f"Other {number}") for number in range(20))]
        for applicant in applicants:
            assert api.start(applicant).status == 200
            assert api.reply(f"{applicant.name} speaks", applicant).status == 200
        with psycopg.connect(target.database_url, autocommit=True) as server:
            server.execute("ANALYZE messages")
        assert traces(target.database_url, ANA.name, "Ana María speaks")
        erased(api)
        assert traces(target.database_url, ANA.name, "Ana María speaks") == set()
        with psycopg.connect(target.database_url) as server:
            samples = "SELECT COUNT(*) FROM pg_stats WHERE schemaname = current_schema()"
            assert server.execute(samples).fetchone() != (0,)

    def test_nor_do_sqlites(self, api: Api, database_url: str) -> None:
        for applicant in (ANA, *(BEN.named(f"Other {number}") for number in range(40))):
            assert api.start(applicant).status == 200
        with closing(sqlite3.connect(path_of(database_url))) as connection:
            connection.execute("ANALYZE")
            samples = str(connection.execute("SELECT * FROM sqlite_stat4").fetchall())
        assert ANA.email in samples
        erased(api)
        assert traces(database_url, ANA.name, ANA.email) == set()


class TestWiping:
    """The bytes of an SQLite file while others have it open."""

    @pytest.fixture
    def reader(self, api: Api, database_url: str) -> Iterator[sqlite3.Connection]:
        """Somebody who reads for long, from before the erasure."""
        assert api.start().status == 200
        with closing(sqlite3.connect(path_of(database_url))) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM messages").fetchall()
            yield reader

    def test_while_somebody_reads_the_receipt_is_202_until_nothing_is_left(
        self,
        api: Api,
        reader: sqlite3.Connection,
        database_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(erasing, "PATIENCE", 0.05)
        first = erase(api)
        assert first.status == 202
        assert api.messages() == []
        assert traces(database_url, ANA.name)
        again = erase(api)
        assert (again.status, again.body) == (202, first.body)

        reader.execute("ROLLBACK")
        monkeypatch.setattr(erasing, "PATIENCE", 60.0)
        done = erase(api)
        assert (done.status, done.body) == (200, first.body)
        assert traces(database_url, ANA.name) == set()
        assert erase(api).status == 404

    def test_the_background_finishes_what_a_request_could_not(
        self,
        make_api: Callable[..., Api],
        api: Api,
        reader: sqlite3.Connection,
        database: Database,
        database_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(erasing, "PATIENCE", 0.05)
        monkeypatch.setattr(erasing, "BACKGROUND_AFTER", 0.0)
        assert erase(api).status == 202
        reader.execute("ROLLBACK")
        monkeypatch.setattr(erasing, "PATIENCE", 60.0)
        make_api(works=True)
        wait_until(lambda: erase(api).status == 404)
        assert traces(database_url, ANA.name) == set()
        wait_until(lambda: tables(database_url)["jobs"] == [])

    def test_writers_go_on_meanwhile_and_are_not_waited_for(
        self, api: Api, make_api: Callable[..., Api], database_url: str
    ) -> None:
        other = make_api()
        applicants = [BEN.named(f"Other {number}") for number in range(6)]
        for applicant in (ANA, *applicants):
            assert api.start(applicant).status == 200
        over = Event()

        def talk(applicant: Applicant) -> int:
            count = 0
            while not over.is_set():
                count += 1
                assert other.reply(f"{'word ' * count} {count}", applicant).status in (200, 409)
            return count

        with ThreadPoolExecutor(len(applicants)) as pool:
            talking = [pool.submit(talk, applicant) for applicant in applicants]
            try:
                for _ in range(10):
                    erased(api)
                    assert traces(database_url, ANA.name, ANA.email) == set()
                    assert api.start().status == 200
            finally:
                over.set()
            assert all(future.result() for future in talking)
        with closing(sqlite3.connect(path_of(database_url))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.both_databases
def test_a_start_whose_token_is_revoked_by_an_erasure_stores_nothing(
    make_api: Callable[..., Api],
    database: Database,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = make_api(**WITH_KEYS)
    put = {"title": "Nurse", "prompt": PROMPT}
    api.raw("PUT", f"/positions/{ANA.access_key}", json=put, headers=AUTHORIZED)
    secret = invited(api).partition("#")[2]
    token = api.post("/open_invitation", {"secret": secret}).body["token"]
    # After the token was found valid, and before anything else.
    monkeypatch.setattr(RateLimits, "count_start", lambda *_: erase_person(database, key_of()))
    answer = post(api, "/start_interview", ANA.fields, {"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.body) == (409, {"error": "The interview was erased."})
    assert traces(database_url, ANA.name, ANA.email) == set()


@pytest.mark.both_databases
def test_an_invitation_that_is_renewed_while_its_person_is_erased_is_not_made(
    make_api: Callable[..., Api], database: Database, database_url: str
) -> None:
    api = make_api()
    put_position(api)
    invited(api)
    erased(api)
    with pytest.raises(NotInvited):
        invite(database, ANA.access_key, [(key_of(), {})], 3600, again=True)
    assert traces(database_url, ANA.name, ANA.email) == set()
