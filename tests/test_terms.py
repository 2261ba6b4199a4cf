"""A position's terms in its interviews: the prompt, closed positions, and the time limit."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from access.api_keys import hash_of
from api import ANA, PROMPT, Answer, Api
from config import Config
from db import InterviewKey, Message, Messages, Session, TokenRevocations, open_database
from interviews.interview import Interviews
from interviews.terms import is_time_up
from interviews.turns import whole
from llm import LLM
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from recruiting import PLAN, position, put
from server import Gunicorn
from streams import reply as streamed_reply
from streams import start as streamed_start
from waiting import wait_until

pytestmark = pytest.mark.both_databases

MakeApi = Callable[..., Api]
KEY = InterviewKey(*ANA.fields.values())
THEIRS = "You interview a nurse."
INCOMPLETE = {"error": "incomplete params"}
CLOSED = {"error": "The position is closed. No interview can be started."}
STARTED = {"message": "Interview already started or exists for this user"}
ECHO = Behaviour(echo=True)


def start(api: Api, key: str = "", **fields: Any) -> Answer:
    """Start Ana's interview, without a prompt unless there is one among the fields."""
    return api.post("/start_interview", {**ANA.fields, **fields}, key)


def let_pass(config: Config, seconds: float, *, since: str = "all") -> None:
    """Make everything that Ana's interview has so far older than it is, or its opening alone."""
    database = open_database(config)
    with database.transaction(KEY) as session:
        messages = Messages(session).of(KEY)
        for message in messages if since == "all" else messages[1:2]:
            then = datetime.fromisoformat(message.date_created) - timedelta(seconds=seconds)
            session.execute(
                "UPDATE messages SET date_created = :then WHERE id = :id",
                {"then": then.strftime("%Y-%m-%d %H:%M:%S.%f"), "id": message.id},
            )
    database.close()


def was_told_that_time_is_up(request: dict[str, Any]) -> bool:
    """Whether the model was asked to close, by the last message and by no other."""
    told = [
        message["role"] == "system" and "time for this interview is up" in message["content"]
        for message in request["messages"]
    ]
    assert not any(told[:-1])
    return told[-1]


class TestStart:
    @pytest.mark.parametrize("fields", [{}, {"prompt": None}, {"prompt": " \n\u2003"}])
    def test_a_start_without_a_prompt_uses_the_positions(
        self, api: Api, rehearsal: Rehearsal, fields: dict[str, Any]
    ) -> None:
        put(api, prompt=THEIRS)
        answer = start(api, **fields)
        assert answer.body == {"status": "Interview has started", "system": SCRIPT[0]}
        assert api.said() == [THEIRS, SCRIPT[0]]
        assert rehearsal.requests[-1]["messages"] == [{"role": "system", "content": THEIRS}]

    def test_a_start_uses_the_prompt_that_the_plan_makes(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        put(api, plan=PLAN)
        assert start(api).status == 200
        assert api.said()[0] == position(api)["prompt"]
        assert PLAN["objective"] in rehearsal.requests[-1]["messages"][0]["content"]

    def test_a_start_with_a_prompt_uses_its_own(self, api: Api) -> None:
        put(api, prompt=THEIRS)
        assert api.start().status == 200
        assert api.said() == [PROMPT, SCRIPT[0]]

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"prompt": None},
            {"prompt": " "},
            {"accessKey": 5},
            {"accessKey": "\ud800"},
            {"accessKey": "job\0"},
            {"accessKey": "x" * 400},
            {"name": 5},
            {"email": "a/b"},
        ],
    )
    def test_without_a_position_it_is_incomplete_whatever_else_it_is(
        self, api: Api, rehearsal: Rehearsal, fields: dict[str, Any]
    ) -> None:
        put(api, "job-2")
        answer = start(api, **fields)
        assert (answer.status, answer.body) == (400, INCOMPLETE)
        assert not rehearsal.requests
        assert api.status() == "uninitiated"

    def test_with_a_position_a_bad_field_is_named(self, api: Api, rehearsal: Rehearsal) -> None:
        put(api)
        for fields, sentence in (
            ({"name": 5}, "name must be a string."),
            ({"email": "a/b"}, "email must not hold a slash"),
            ({"prompt": 5}, "prompt must be a string."),
            ({"email": " "}, "incomplete params"),
        ):
            answer = start(api, **fields)
            assert answer.status == 400
            assert answer.body["error"].startswith(sentence)
        assert not rehearsal.requests

    def test_of_many_starts_at_two_instances_one_succeeds(
        self, make_api: MakeApi, rehearsal: Rehearsal
    ) -> None:
        apis = make_api(), make_api()
        put(apis[0], prompt=THEIRS)
        rehearsal.default = Behaviour(delay=0.2)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: start(apis[number % 2]), range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [400] * 7
        assert [answer.body for answer in answers if answer.status == 400] == [STARTED] * 7
        assert apis[0].said() == [THEIRS, SCRIPT[0]]

    def test_a_streamed_start_uses_it_too(self, make_server: Callable[..., Gunicorn]) -> None:
        server = make_server().start()
        with server.api() as api:
            assert streamed_start(server, prompt="").last.data == INCOMPLETE
            put(api, prompt=THEIRS)
            assert streamed_start(server, prompt="").last.data["system"] == SCRIPT[0]
            assert api.said() == [THEIRS, SCRIPT[0]]
            put(api, isOpen=False)
            refused = streamed_start(server, ANA.named("Mei"), prompt="")
            assert (refused.status, refused.last.data) == (409, CLOSED)


class TestIdempotency:
    def test_a_retry_gets_its_opening_though_the_position_has_changed(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        put(api, prompt=THEIRS)
        first = start(api, "k")
        assert first.status == 200
        put(api, prompt="Another prompt.", isOpen=False)
        for fields in ({}, {"prompt": ""}):
            answer = start(api, "k", **fields)
            assert (answer.status, answer.body) == (200, first.body)
        assert len(rehearsal.requests) == 1
        assert api.said() == [THEIRS, SCRIPT[0]]

    def test_the_same_key_with_a_prompt_is_another_request(self, api: Api) -> None:
        put(api, prompt=THEIRS)
        start(api, "k")
        assert start(api, "k", prompt=THEIRS).status == 422
        assert start(api, "k2").body == STARTED

    def test_after_a_failure_the_retry_uses_the_prompt_of_then(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        put(api, prompt=THEIRS)
        rehearsal.misbehave("cut_off")
        assert start(api, "k").status == 500
        put(api, prompt="Another prompt.")
        assert start(api, "k").status == 200
        assert api.said() == ["Another prompt.", SCRIPT[0]]


class TestClosed:
    def test_a_closed_position_refuses_starts_until_it_is_open(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        put(api, isOpen=False)
        for answer in (start(api), api.start(), start(api, "k"), api.start(key="k")):
            assert (answer.status, answer.body) == (409, CLOSED)
        assert not rehearsal.requests
        assert api.status() == "uninitiated"
        assert api.start(ANA.named("Ana"), prompt="x").status == 409
        put(api, isOpen=True)
        assert start(api, "k").status == 200

    def test_it_lets_interviews_go_on_that_have_begun(self, api: Api) -> None:
        api.start(key="k")
        put(api, isOpen=False)
        assert api.reply("Hello").body == {"system": SCRIPT[1]}
        assert api.start().body == STARTED
        assert api.start(key="k").body["system"] == SCRIPT[0]

    def test_other_access_keys_do_not_mind(self, api: Api) -> None:
        put(api, "job-2", isOpen=False)
        assert api.start().status == 200

    def test_only_who_may_start_it_learns_that_it_is_closed(self, make_api: MakeApi) -> None:
        put(make_api(), isOpen=False)
        keyed = make_api(api_keys=(hash_of("key"),), secret_key=("s" * 32,))

        def call(path: str, credential: str) -> Answer:
            headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
            return keyed.send("POST", path, data=json.dumps(ANA.fields), headers=headers)

        token = call("/applicant_token", "key").body["token"]
        answers = [call("/start_interview", given) for given in ("", token, "key")]
        assert [answer.status for answer in answers] == [401, 409, 409]
        assert "closed" not in answers[0].body["error"]

    def test_a_body_that_is_refused_is_refused_first(self, api: Api) -> None:
        put(api, isOpen=False)
        assert start(api, name="").body == INCOMPLETE
        assert start(api, name=5).status == 400


class TestTimeLimit:
    def test_a_reply_in_time_is_as_any(
        self, api: Api, rehearsal: Rehearsal, config: Config
    ) -> None:
        put(api, timeLimit=60)
        start(api)
        let_pass(config, 30)
        assert api.reply("Hello").body == {"system": SCRIPT[1]}
        assert not was_told_that_time_is_up(rehearsal.requests[-1])
        assert api.status() == "started"

    def test_a_reply_after_it_is_stored_and_is_the_last(
        self, api: Api, rehearsal: Rehearsal, config: Config
    ) -> None:
        put(api, timeLimit=60)
        start(api)
        api.reply("One")
        let_pass(config, 61)
        assert api.status() == "started"
        # An answer like any other, without the closing phrase.
        assert api.reply("Two").body == {"system": SCRIPT[2]}
        request = rehearsal.requests[-1]
        assert was_told_that_time_is_up(request)
        assert request["messages"][-2] == {"role": "user", "content": "Two"}
        assert "Thank you for your time and insights" in request["messages"][-1]["content"]
        assert api.status() == "finished"
        assert api.said() == [THEIRS, *SCRIPT[:1], "One", SCRIPT[1], "Two", SCRIPT[2]]
        assert api.reply("Three").status == 409
        finished = api.get("/finished_interviews/job-1").body["finished_interviews"]
        assert [applicant["name"] for applicant in finished] == [ANA.name]

    def test_it_runs_from_the_opening_and_not_from_the_last_reply(
        self, api: Api, config: Config
    ) -> None:
        put(api, timeLimit=60)
        start(api)
        for words in ("One", "Two"):
            let_pass(config, 25)
            api.reply(words)
            assert api.status() == "started"
        let_pass(config, 25)
        api.reply("Three")
        assert api.status() == "finished"

    def test_it_is_the_positions_of_now(self, api: Api, config: Config) -> None:
        api.start()
        let_pass(config, 100)
        api.reply("One")
        put(api, timeLimit=120)
        api.reply("Two")
        assert api.status() == "started"
        put(api)
        let_pass(config, 100)
        api.reply("Three")
        assert api.status() == "started"
        put(api, timeLimit=120)
        api.reply("Four")
        assert api.status() == "finished"

    def test_a_late_reply_whose_answer_failed_is_the_last_when_it_is_retried(
        self, make_api: MakeApi, rehearsal: Rehearsal, config: Config
    ) -> None:
        api, other = make_api(), make_api()
        put(api, timeLimit=60)
        start(api)
        let_pass(config, 61)
        rehearsal.misbehave("refused_key")
        assert api.reply("Late").status == 500
        assert api.said()[2:] == ["Late"]
        assert other.reply("Late").body == {"system": SCRIPT[1]}
        assert was_told_that_time_is_up(rehearsal.requests[-1])
        assert api.said()[2:] == ["Late", SCRIPT[1]]
        assert other.status() == "finished"

    def test_a_reply_that_was_stored_in_time_is_not_the_last_however_late_it_is_answered(
        self, make_api: MakeApi, rehearsal: Rehearsal, config: Config
    ) -> None:
        api, other = make_api(), make_api()
        put(api, timeLimit=60)
        start(api)
        rehearsal.misbehave("refused_key")
        assert api.reply("In time", key="k").status == 500
        let_pass(config, 3600)
        assert other.reply("In time", key="k").status == 200
        assert not was_told_that_time_is_up(rehearsal.requests[-1])
        assert api.status() == "started"
        assert api.reply("Late").status == 200
        assert api.status() == "finished"

    def test_what_is_joined_late_to_an_open_message_is_the_last(
        self, api: Api, rehearsal: Rehearsal, config: Config
    ) -> None:
        put(api, timeLimit=60)
        start(api)
        rehearsal.misbehave("refused_key", "refused_key")
        assert api.reply("In time").status == 500
        let_pass(config, 61)
        assert api.reply("Late").status == 500
        rehearsal.default = ECHO
        assert api.reply("In time\n\nLate").status == 200
        assert rehearsal.requests[-1]["messages"][-2]["content"] == "In time\n\nLate"
        assert was_told_that_time_is_up(rehearsal.requests[-1])
        assert api.status() == "finished"
        assert len(api.messages()) == 4

    def test_the_process_whose_answer_is_overtaken_by_a_late_message_asks_for_the_last(
        self, make_api: MakeApi, rehearsal: Rehearsal, config: Config
    ) -> None:
        one, other = make_api(), make_api()
        put(one, timeLimit=60)
        start(one)
        rehearsal.misbehave(Behaviour(delay=0.5, message={"content": "Never stored"}))
        with ThreadPoolExecutor() as pool:
            first = pool.submit(one.reply, "In time")
            wait_until(lambda: len(rehearsal.requests) == 2)
            let_pass(config, 3600, since="opening")
            # It fails, so that the first process is the one that answers.
            rehearsal.misbehave("refused_key")
            assert other.reply("Late").status == 500
            assert first.result().body == {"system": SCRIPT[1]}
        assert was_told_that_time_is_up(rehearsal.requests[-1])
        assert one.said()[2:] == ["In time\n\nLate", SCRIPT[1]]
        assert other.status() == "finished"

    def test_of_many_late_replies_at_two_instances_one_answer_is_stored(
        self, make_api: MakeApi, rehearsal: Rehearsal, config: Config
    ) -> None:
        apis = make_api(), make_api()
        put(apis[0], timeLimit=60)
        start(apis[0])
        let_pass(config, 61)
        rehearsal.default = Behaviour(echo=True, delay=0.2)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: apis[i % 2].reply("Late", key=f"k{i % 4}"), range(8)))
        assert len({str(answer.body) for answer in answers if answer.status == 200}) == 1
        # Who comes after the end is told so.
        assert {answer.status for answer in answers} <= {200, 409}
        assert apis[0].status() == "finished"
        assert len(apis[0].messages()) == 4

    def test_a_late_reply_is_replayed_by_its_key(
        self, api: Api, rehearsal: Rehearsal, config: Config
    ) -> None:
        put(api, timeLimit=60)
        start(api)
        let_pass(config, 61)
        first = api.reply("Late", key="k")
        asked = len(rehearsal.requests)
        assert api.reply("Late", key="k").body == first.body
        assert len(rehearsal.requests) == asked
        assert api.reply("Later").status == 409

    def test_a_streamed_reply_is_the_last_as_well(
        self, make_server: Callable[..., Gunicorn], rehearsal: Rehearsal, config: Config
    ) -> None:
        server = make_server().start()
        with server.api() as api:
            put(api, timeLimit=60)
            start(api)
            let_pass(config, 61)
            rehearsal.misbehave("torn_stream")
            torn = streamed_reply(server, "Late")
            assert torn.last.name == "error"
            assert api.status() == "started"
            told = streamed_reply(server, "Late")
            assert told.last.data == {"system": SCRIPT[1]}
            assert was_told_that_time_is_up(rehearsal.requests[-1])
            assert api.said()[2:] == ["Late", SCRIPT[1]]
            assert api.status() == "finished"
            refused = streamed_reply(server, "Later")
            assert refused.status == 409

    @pytest.mark.parametrize(
        ("opened", "said", "is_over"),
        [
            ("2026-11-24 12:00:00.000000", "2026-11-24 12:01:00.000000", False),
            ("2026-11-24 12:00:00.000000", "2026-11-24 12:01:00.000001", True),
            ("2026-11-24 23:59:30.000000", "2026-11-25 00:01:00.000000", True),
            ("2026-11-24 12:00:00", "2026-11-24 11:00:00", False),  # a clock that was set back
            ("1743940800", "2026-11-24 12:00:00", False),  # an old file's
            ("", "2026-11-24 12:00:00", False),
        ],
    )
    def test_it_follows_from_the_stored_times(self, opened: str, said: str, is_over: bool) -> None:
        history = [
            Message(1, "system", "Prompt", "2020-01-01 00:00:00", 0),
            Message(2, "system", "Opening", opened, 0),
            Message(3, "user", "Hello", said, 0),
        ]
        assert is_time_up(history, 60) is is_over
        assert is_time_up(history, None) is False


class TestWhenFinished:
    """Who listens is called in the transaction that stores the closing message."""

    @staticmethod
    def count(config: Config) -> int:
        database = open_database(config)
        with database.reading() as session:
            times = TokenRevocations(session).count(KEY.digest())
        database.close()
        return times

    @staticmethod
    def listening(config: Config, *, broken: list[str]) -> Interviews:
        """Count each finished interview, and fail while there is a reason to."""

        def listener(session: Session, interview: InterviewKey) -> None:
            TokenRevocations(session).add(interview.digest())
            if broken:
                raise RuntimeError(broken[0])

        return Interviews(open_database(config), LLM(config), config, [listener])

    def test_a_reply_that_closes_is_told_once(self, config: Config, rehearsal: Rehearsal) -> None:
        interviews = self.listening(config, broken=[])
        whole(interviews.start(KEY, PROMPT))
        whole(interviews.reply(KEY, "One"))
        assert self.count(config) == 0
        rehearsal.misbehave(Behaviour(message={"content": SCRIPT[-1]}))
        whole(interviews.reply(KEY, "Two", "k"))
        whole(interviews.reply(KEY, "Two", "k"))
        assert self.count(config) == 1
        interviews.close()

    def test_an_opening_that_closes_is_told(self, config: Config, rehearsal: Rehearsal) -> None:
        interviews = self.listening(config, broken=[])
        rehearsal.misbehave(Behaviour(message={"content": SCRIPT[-1]}))
        whole(interviews.start(KEY, PROMPT, "k"))
        assert interviews.status(KEY) == "finished"
        assert self.count(config) == 1
        interviews.close()

    def test_a_reply_after_the_time_limit_is_told(self, config: Config, api: Api) -> None:
        put(api, timeLimit=60)
        interviews = self.listening(config, broken=[])
        whole(interviews.start(KEY))
        let_pass(config, 61)
        whole(interviews.reply(KEY, "Late"))
        assert self.count(config) == 1
        interviews.close()

    def test_what_fails_there_stores_neither(self, config: Config, rehearsal: Rehearsal) -> None:
        broken = ["no more paper"]
        interviews = self.listening(config, broken=broken)
        whole(interviews.start(KEY, PROMPT))
        rehearsal.default = Behaviour(message={"content": SCRIPT[-1]})
        with pytest.raises(RuntimeError, match="no more paper"):
            whole(interviews.reply(KEY, "Bye"))
        assert self.count(config) == 0
        assert [message.content for message in interviews.transcript(KEY)][2:] == ["Bye"]
        assert interviews.status(KEY) == "started"
        broken.clear()
        whole(interviews.reply(KEY, "Bye"))
        assert self.count(config) == 1
        assert interviews.status(KEY) == "finished"
        interviews.close()
