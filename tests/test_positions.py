"""Positions: put, read and listed; their plans, their rubrics' versions, and drafts of rubrics."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest

from api import ANA, PROMPT, Answer, Api
from config import APP_FOLDER, Config
from db import Database, InterviewKey, Messages, Session, open_database
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from positions.position import Plan, Rubric, rubric_sha256
from positions.prompt import PROMPT as TEMPLATE
from positions.prompt import prompt_of
from positions.queries import Positions, Rubrics, StoredRubric
from recruiting import PLAN, QUESTIONS, criterion, position, put, rubric
from server import NO_AUTHORITIES
from web.bodies import BYTES_PER_CHARACTER, SPARE_BYTES

MakeApi = Callable[..., Api]
PHRASE = "Thank you for your time and insights"
NO_POSITION = {"error": "There is no position with this access key."}


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def versions(database: Database, access_key: str = "job-1") -> list[StoredRubric]:
    """Every version of the position's rubric."""
    found: list[StoredRubric] = []
    with database.reading() as session:
        while (stored := Rubrics(session).version(access_key, len(found) + 1)) is not None:
            found.append(stored)
    return found


@pytest.mark.both_databases
class TestPut:
    def test_a_position_is_read_as_it_was_put(self, api: Api) -> None:
        fields: dict[str, Any] = {
            "title": "Nurse 'n' \"more\" 🦊",
            "plan": PLAN,
            "rubric": rubric(criterion(weight=2.5), criterion("care_2"), weightsRationale="Why."),
            "scoring": "automatic",
            "timeLimit": 1800,
            "isOpen": False,
            "metadata": {"ats_job_id": "4711", "żółw": ""},
        }
        answer = put(api, **fields)
        assert (answer.status, answer.body["status"]) == (200, "success")
        stored = position(api)
        assert answer.body["position"] == stored
        assert stored["access_key"] == "job-1"
        for name in ("title", "scoring", "timeLimit", "isOpen", "metadata"):
            assert stored[name] == fields[name]
        assert stored["plan"]["questions"] == [*QUESTIONS[:2], {**QUESTIONS[2], "followUps": 1}]
        assert stored["plan"]["language"] == "Español"
        assert stored["rubric"]["criteria"] == [
            criterion(weight=2.5),
            criterion("care_2", weight=1),
        ]
        assert stored["rubric"]["minCoverage"] == 0.6
        assert stored["rubric"]["weightsRationale"] == "Why."
        assert stored["created_at"] == stored["updated_at"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stored["created_at"])

    def test_what_is_left_out_or_null_has_its_default(self, api: Api) -> None:
        optional = ("plan", "rubric", "scoring", "timeLimit", "isOpen", "metadata")
        put(api, "job-1")
        put(api, "job-2", prompt="You interview a nurse.", **dict.fromkeys(optional))
        for access_key in ("job-1", "job-2"):
            stored = position(api, access_key)
            assert stored["prompt"] == "You interview a nurse."
            assert [stored[name] for name in optional] == [None, None, "manual", None, True, {}]
            assert (stored["rubricVersion"], stored["rubricSha256"]) == (None, None)

    def test_it_is_the_whole_position_each_time(self, api: Api) -> None:
        put(api, plan=PLAN, rubric=rubric(), timeLimit=60, metadata={"a": "b"}, isOpen=False)
        first = position(api)
        put(api, title="Cook", prompt="Ask a cook.", another=1)
        second = position(api)
        assert (second["title"], second["prompt"], second["plan"]) == ("Cook", "Ask a cook.", None)
        assert (second["timeLimit"], second["metadata"], second["isOpen"]) == (None, {}, True)
        assert (second["rubric"], second["rubricVersion"]) == (None, None)
        assert second["created_at"] == first["created_at"]
        assert second["updated_at"] >= first["updated_at"]

    def test_a_refused_one_leaves_what_there_was(self, api: Api) -> None:
        put(api, rubric=rubric())
        before = position(api)
        assert put(api, rubric=rubric(), timeLimit=1).status == 400
        assert position(api) == before

    def test_a_position_that_nobody_has_put_is_404(self, api: Api) -> None:
        for access_key in ("job-1", "x" * 400, "%20"):
            answer = api.get(f"/positions/{access_key}")
            assert (answer.status, answer.body) == (404, NO_POSITION)

    @pytest.mark.parametrize(
        "access_key",
        ["a b", "ä&#;=?", "50%", "李", "a\\b", "' OR 1=1 --", "...", "\U0001f98a" * 320, "Job-1"],
    )
    def test_every_access_key_that_interviews_can_have_has_its_own_position(
        self, api: Api, access_key: str
    ) -> None:
        put(api, title="Another")
        assert put(api, access_key, title="This").status == 200
        assert position(api, access_key)["access_key"] == access_key
        assert position(api)["title"] == "Another"
        body = {**ANA.fields, "accessKey": access_key}
        assert api.post("/start_interview", body).status == 200

    @pytest.mark.parametrize(
        ("path", "status", "sentence"),
        [
            ("%20%0a", 400, "access_key must not be blank."),
            ("x" * 321, 400, "access_key must not be longer than 320 characters."),
            ("%2e", 400, "access_key must not be .: the position's URL could not be read."),
            ("%2e%2e", 400, "access_key must not be ..: the position's URL could not be read."),
            ("a%00", 400, "access_key must not hold NUL."),
            ("%ff", 400, "access_key must be valid UTF-8"),
            ("a%2Fb", 404, ""),
            ("a/", 404, ""),
            ("", 404, ""),
        ],
    )
    def test_an_access_key_that_no_interview_can_have_is_refused(
        self, api: Api, path: str, status: int, sentence: str
    ) -> None:
        body = json.dumps({"title": "Nurse", "prompt": "Ask."})
        answer = api.send("PUT", f"/positions/{path}", data=body, content_type="application/json")
        assert answer.status == status
        assert answer.body["error"].startswith(sentence)
        assert api.get("/positions").body["positions"] == []

    def test_two_instances_put_at_once_and_all_succeed(
        self, make_api: MakeApi, database: Database
    ) -> None:
        apis = make_api(), make_api()
        rubrics = [rubric(criterion(f"criterion_{number}")) for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda i: put(apis[i % 2], title=str(i), rubric=rubrics[i]), range(24))
            )
        assert {answer.status for answer in answers} == {200}
        shown = [answer.body["position"] for answer in answers]
        # Each has got the version that holds its own rubric, and no two the same.
        assert sorted(one["rubricVersion"] for one in shown) == list(range(1, 25))
        stored = versions(database)
        for number, one in enumerate(shown):
            assert one["title"] == str(number)
            version = stored[one["rubricVersion"] - 1]
            assert version.body == one["rubric"]
            assert version.sha256 == one["rubricSha256"]
            assert one["rubric"]["criteria"][0]["id"] == f"criterion_{number}"
        assert position(apis[0])["rubricVersion"] == 24

    def test_the_same_rubric_at_once_is_one_version(
        self, make_api: MakeApi, database: Database
    ) -> None:
        apis = make_api(), make_api()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: put(apis[i % 2], rubric=rubric()), range(8)))
        assert {answer.body["position"]["rubricVersion"] for answer in answers} == {1}
        assert len(versions(database)) == 1


@pytest.mark.both_databases
class TestRubric:
    def test_a_changed_rubric_is_a_new_version_and_the_same_is_none(
        self, api: Api, database: Database
    ) -> None:
        one, other = rubric(), rubric(criterion(definition="Something else."))
        for put_rubric, version in ((one, 1), (one, 1), (other, 2), (one, 3), (one, 3)):
            assert put(api, rubric=put_rubric).body["position"]["rubricVersion"] == version
        first, second, third = versions(database)
        assert first.body == third.body == {**rubric(criterion(weight=1)), **DEFAULTS}
        assert first.sha256 == third.sha256 != second.sha256

    def test_without_a_rubric_the_versions_stay(self, api: Api, database: Database) -> None:
        put(api, rubric=rubric())
        before = versions(database)
        assert put(api).body["position"]["rubric"] is None
        with database.reading() as session:
            assert Rubrics(session).current("job-1") is None
        assert versions(database) == before
        assert put(api, rubric=rubric()).body["position"]["rubricVersion"] == 1
        with database.reading() as session:
            assert Rubrics(session).current("job-1") == before[0]
            assert Rubrics(session).version("job-1", 2) is None
            assert Rubrics(session).current("job-2") is None

    def test_each_position_counts_its_own(self, api: Api, database: Database) -> None:
        for access_key in ("job-1", "job-2"):
            put(api, access_key, rubric=rubric())
            put(api, access_key, rubric=rubric(criterion("other")))
            assert position(api, access_key)["rubricVersion"] == 2
            assert len(versions(database, access_key)) == 2

    def test_another_way_of_writing_it_is_the_same_rubric(self, api: Api) -> None:
        put(api, rubric=rubric())
        shuffled = dict(reversed(criterion(weight=1.0).items()))
        shuffled["anchors"] = dict(reversed({**shuffled["anchors"], "2": None}.items()))
        put(api, rubric={"weightsRationale": None, "minCoverage": 0.60, "criteria": [shuffled]})
        assert position(api)["rubricVersion"] == 1

    def test_its_hash_is_that_of_the_json_that_is_shown(self, api: Api) -> None:
        put(api, rubric=rubric(criterion(title="Ärzte 🦊", weight=10), minCoverage=1))
        stored = position(api)
        text = json.dumps(
            stored["rubric"], ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
        assert stored["rubricSha256"] == sha256(text.encode()).hexdigest()
        assert stored["rubricSha256"] == rubric_sha256(Rubric.model_validate(stored["rubric"]))


DEFAULTS = {"minCoverage": 0.6, "weightsRationale": None}


def anchors(**texts: Any) -> dict[str, Any]:
    """A rubric with such anchors in its one criterion."""
    given = {"1": "a", "3": "b", "5": "c", **{name[1:]: text for name, text in texts.items()}}
    return rubric(criterion(anchors={name: text for name, text in given.items() if text != ""}))


def questions(*given: Any, **fields: Any) -> dict[str, Any]:
    return {"plan": {**PLAN, "questions": list(given), **fields}}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": None}, "title must be a string."),
        ({"title": " \n"}, "title must not be blank."),
        ({"title": "x" * 201}, "title must not be longer than 200 characters."),
        ({"title": "a\0"}, "title must not hold NUL."),
        ({"title": "\ud800"}, "title must not hold half of a surrogate pair."),
        ({"prompt": None}, "The body must have either a prompt or a plan."),
        ({"prompt": "x", "plan": PLAN}, "The body must have either a prompt or a plan."),
        ({"prompt": " "}, "prompt must not be blank."),
        ({"prompt": ["x"]}, "prompt must be a string."),
        ({"prompt": "x" * 100_001}, "prompt must not be longer than 100000 characters."),
        ({"plan": []}, "plan must be an object."),
        (questions(), "plan.questions must have at least 1 items."),
        (questions(*QUESTIONS * 7), "plan.questions must not have more than 20 items."),
        (questions("?"), "plan.questions[0] must be an object."),
        (questions({"text": " "}), "plan.questions[0].text must not be blank."),
        (
            questions(QUESTIONS[0], {"text": "x" * 2001}),
            "plan.questions[1].text must not be longer than 2000 characters.",
        ),
        (
            questions({"text": "x", "followUps": 4}),
            "plan.questions[0].followUps must be 3 or less.",
        ),
        (
            questions({"text": "x", "followUps": -1}),
            "plan.questions[0].followUps must be 0 or more.",
        ),
        (
            questions({"text": "x", "followUps": True}),
            "plan.questions[0].followUps must be a whole number.",
        ),
        (
            questions({"text": "x", "followUps": 1.5}),
            "plan.questions[0].followUps must be a whole number.",
        ),
        (questions(*QUESTIONS, objective=""), "plan.objective must not be blank."),
        (questions(*QUESTIONS, language=5), "plan.language must be a string."),
        (
            questions(*QUESTIONS, language="x" * 101),
            "plan.language must not be longer than 100 characters.",
        ),
        ({"scoring": "auto"}, "scoring must be 'manual' or 'automatic'."),
        ({"timeLimit": 59}, "timeLimit must be 60 or more."),
        ({"timeLimit": 14_401}, "timeLimit must be 14400 or less."),
        ({"timeLimit": 60.5}, "timeLimit must be a whole number."),
        ({"timeLimit": "60"}, "timeLimit must be a whole number."),
        ({"timeLimit": 10**400}, "timeLimit must be 14400 or less."),
        ({"isOpen": 1}, "isOpen must be true or false."),
        ({"metadata": []}, "metadata must be an object."),
        ({"metadata": {"a": 5}}, "metadata.a must be a string."),
        ({"metadata": {"a": "x" * 501}}, "metadata.a must not be longer than 500 characters."),
        ({"metadata": {"a": "\0"}}, "metadata.a must not hold NUL."),
        ({"metadata": {"a\0": ""}}, "A name in metadata must not hold NUL."),
        (
            {"metadata": {str(number): "" for number in range(21)}},
            "metadata must not have more than 20 items.",
        ),
        ({"metadata": {"": ""}}, "metadata must have names of 1 to 100 characters."),
        ({"metadata": {"x" * 101: 5}}, "metadata must have names of 1 to 100 characters."),
        ({"rubric": []}, "rubric must be an object."),
        ({"rubric": {}}, "rubric.criteria is missing."),
        ({"rubric": {"criteria": []}}, "rubric.criteria must have at least 1 items."),
        (
            {"rubric": rubric(*[criterion(f"c{number}") for number in range(9)])},
            "rubric.criteria must not have more than 8 items.",
        ),
        (
            {"rubric": rubric(criterion(), criterion())},
            "rubric.criteria must all have different ids.",
        ),
        (
            {"rubric": rubric(criterion("Judgement"))},
            "rubric.criteria[0].id must be of a to z, 0 to 9 and underscores.",
        ),
        ({"rubric": rubric(criterion(""))}, "rubric.criteria[0].id must have at least 1"),
        (
            {"rubric": rubric(criterion("x" * 41))},
            "rubric.criteria[0].id must not be longer than 40 characters.",
        ),
        ({"rubric": rubric(criterion("a\n"))}, "rubric.criteria[0].id must be of a to z"),
        ({"rubric": rubric(criterion("٣"))}, "rubric.criteria[0].id must be of a to z"),
        (
            {"rubric": rubric(criterion(weight=0.09))},
            "rubric.criteria[0].weight must be 0.1 or more.",
        ),
        (
            {"rubric": rubric(criterion(weight=10.1))},
            "rubric.criteria[0].weight must be 10.0 or less.",
        ),
        (
            {"rubric": rubric(criterion(weight="1"))},
            "rubric.criteria[0].weight must be a number.",
        ),
        (
            {"rubric": rubric(criterion(weight=True))},
            "rubric.criteria[0].weight must be a number.",
        ),
        (
            {"rubric": rubric(criterion("a", weight=2), criterion("b"))},
            "rubric must have a weightsRationale, as its weights are unequal.",
        ),
        (
            {"rubric": rubric(criterion(), weightsRationale=" ")},
            "rubric.weightsRationale must not be blank.",
        ),
        ({"rubric": rubric(minCoverage=1.1)}, "rubric.minCoverage must be 1.0 or less."),
        ({"rubric": rubric(minCoverage=-0.1)}, "rubric.minCoverage must be 0.0 or more."),
        ({"rubric": anchors(_3="")}, "rubric.criteria[0].anchors.3 is missing."),
        ({"rubric": anchors(_3=None)}, "rubric.criteria[0].anchors.3 must be a string."),
        ({"rubric": anchors(_3=" ")}, "rubric.criteria[0].anchors.3 must not be blank."),
        ({"rubric": anchors(_6="d")}, "rubric.criteria[0].anchors.6 is not known."),
        ({"rubric": anchors(_2=" a\n")}, "rubric.criteria[0].anchors must all be different."),
        (
            {"rubric": anchors(_4="x" * 1001)},
            "rubric.criteria[0].anchors.4 must not be longer than 1000 characters.",
        ),
    ],
)
def test_what_cannot_be_accepted_is_named_by_its_place(
    api: Api, fields: dict[str, Any], sentence: str
) -> None:
    answer = put(api, **fields)
    assert answer.status == 400
    assert answer.body["error"].startswith(sentence)
    assert api.get("/positions/job-1").status == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"title": "a", "title": "b"}', b"[" * 9000, b"\xff"]
)
def test_a_body_that_is_no_json_object_is_refused(api: Api, body: bytes) -> None:
    answer = api.send("PUT", "/positions/job-1", data=body, content_type="application/json")
    assert answer.status == 400


@pytest.mark.both_databases
def test_the_largest_position_is_accepted_and_kept(api: Api) -> None:
    """Each text as long as it may be, each character escaped as six bytes."""
    long = "語" * 1000
    fields: dict[str, Any] = {
        "title": "語" * 200,
        "plan": {
            "objective": long * 2,
            "questions": [{"text": long * 2, "followUps": 3}] * 20,
            "language": "語" * 100,
        },
        "rubric": {
            "criteria": [
                {
                    "id": f"{number}" + "x" * 39,
                    "title": "語" * 200,
                    "definition": long * 2,
                    "weight": number + 1,
                    "anchors": {str(score): long[1:] + str(score) for score in range(1, 6)},
                }
                for number in range(8)
            ],
            "minCoverage": 0,
            "weightsRationale": long * 2,
        },
        "metadata": {f"{number:02}" + "語" * 98: "語" * 500 for number in range(20)},
    }
    assert put(api, **fields).status == 200
    stored = position(api)
    assert {name: stored[name] for name in fields} == fields
    assert put(api, "job-2", prompt="語" * 100_000).status == 200
    assert position(api, "job-2")["prompt"] == "語" * 100_000


def test_a_body_that_no_position_needs_is_too_large(make_api: MakeApi) -> None:
    api = make_api(max_body_bytes=2000)
    assert put(api).status == 200
    assert put(api, metadata={"a": "x" * 500}, prompt="x" * 1500).status == 413


DOCS = (APP_FOLDER / "docs" / "positions.md").read_text()


def test_the_position_in_the_docs_is_accepted(api: Api) -> None:
    (body,) = re.findall(r"-X PUT .*? -d '(.*?)'\n```", DOCS, re.DOTALL)
    sent = json.loads(body)
    put(api, "nurse-2026", **sent)
    stored = position(api, "nurse-2026")
    assert {name: stored[name] for name in ("plan", "timeLimit", "metadata")} == {
        name: sent[name] for name in ("plan", "timeLimit", "metadata")
    }
    assert stored["rubric"]["criteria"] == [{**sent["rubric"]["criteria"][0], "weight": 1}]


class TestPlan:
    def test_the_prompt_holds_the_plan_and_the_closing_phrase(self, make_api: MakeApi) -> None:
        api = make_api(closing_phrase="Auf Wiedersehen {language}")
        put(api, plan=PLAN)
        prompt = position(api)["prompt"]
        assert f"1. {QUESTIONS[0]['text']} (at most 2 follow-up questions)" in prompt
        assert f"2. {QUESTIONS[1]['text']} (no follow-up question)" in prompt
        assert f"3. {QUESTIONS[2]['text']} (at most 1 follow-up question)" in prompt
        assert f"\n{PLAN['objective']}\n" in prompt
        assert "Language: Español." in prompt
        assert prompt.count("Auf Wiedersehen {language}") == 1

    def test_what_looks_like_a_place_of_the_template_stays_as_it_is(self) -> None:
        plan = Plan.model_validate(
            {"objective": "{questions} %s \\1", "questions": [{"text": "{closing_phrase} {0}"}]}
        )
        prompt = prompt_of(plan, PHRASE)
        assert "\n{questions} %s \\1\n" in prompt
        assert "1. {closing_phrase} {0} (at most 1 follow-up question)" in prompt
        assert prompt.count(PHRASE) == 1

    def test_it_must_not_make_a_longer_prompt_than_prompts_may_be(self, make_api: MakeApi) -> None:
        api = make_api(max_prompt_chars=5000)
        long = questions({"text": "x" * 2000}, {"text": "y" * 2000})
        answer = put(api, **long)
        assert answer.status == 400
        assert answer.body["error"].startswith(
            "plan must not make a prompt of more than 5000 characters; it makes one of "
        )
        assert put(api, plan=PLAN).status == 200
        assert put(api, prompt="x" * 5000).status == 200
        assert put(api, prompt="x" * 5001).status == 400

    def test_the_template_is_the_one_in_the_docs(self) -> None:
        (shown,) = re.findall(r"```\n(You are an AI.*?)```\n", DOCS, re.DOTALL)
        assert " ".join(shown.split()) == " ".join(TEMPLATE.split())

    @pytest.mark.both_databases
    def test_an_interview_by_a_plan_ends_with_the_phrase(self, api: Api) -> None:
        put(api, plan=PLAN)
        assert api.post("/start_interview", ANA.fields).status == 200
        for number in range(len(SCRIPT) - 1):
            assert api.status() == "started"
            api.reply(f"Answer {number}")
        assert api.status() == "finished"


@pytest.mark.both_databases
class TestList:
    @staticmethod
    def page(api: Api, query: str = "") -> list[str]:
        answer = api.get(f"/positions{query}")
        assert answer.status == 200
        return [position["access_key"] for position in answer.body["positions"]]

    def test_there_are_none_at_first(self, api: Api) -> None:
        assert api.get("/positions").body == {"status": "success", "positions": []}

    def test_the_newest_are_first_however_often_they_are_put(self, api: Api) -> None:
        for access_key in ("b", "c", "a", "b"):
            put(api, access_key, title=access_key.upper(), isOpen=access_key != "c")
        assert api.get("/positions").body["positions"] == [
            {
                "access_key": access_key,
                "title": access_key.upper(),
                "isOpen": access_key != "c",
                "applicants": 0,
                "finished": 0,
                "scored": 0,
            }
            for access_key in ("a", "c", "b")
        ]

    def test_each_page_follows_the_last_position_of_the_page_before(self, api: Api) -> None:
        keys = [f"job {number}/ä".replace("/", "&") for number in range(7)]
        for access_key in keys:
            put(api, access_key)
        seen = page = self.page(api, "?limit=3")
        while page:
            after = page[-1].replace(" ", "%20").replace("&", "%26")
            page = self.page(api, f"?limit=3&after={after}")
            assert len(page) <= 3
            seen = seen + page
        assert seen == keys[::-1]
        assert self.page(api) == seen

    def test_a_page_has_a_hundred_unless_it_is_asked_for_more(self, api: Api) -> None:
        for number in range(101):
            put(api, f"job-{number}")
        assert len(self.page(api)) == 100
        assert len(self.page(api, "?limit=1000")) == 101
        assert self.page(api, "?limit=1") == ["job-100"]

    @pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "x", "", "٣", "9" * 5000, "1e2"])
    def test_a_limit_that_makes_no_sense_is_refused(self, api: Api, limit: str) -> None:
        answer = api.get(f"/positions?limit={limit}")
        assert answer.status == 400
        assert answer.body["error"] == "limit must be a whole number from 1 to 1000."

    def test_a_page_after_no_position_is_refused(self, api: Api) -> None:
        put(api)
        for after in ("nobody's", "", "x" * 5000, "%ff"):
            answer = api.get(f"/positions?after={after}")
            assert (answer.status, answer.body) == (404, NO_POSITION)
        assert api.get("/positions?after=%00").status == 400

    def test_interviews_are_counted_under_their_own_position(
        self, api: Api, database: Database, rehearsal: Rehearsal
    ) -> None:
        for access_key in ("job-1", "job-2", "Job-1"):
            put(api, access_key)
        others = [ANA.named("Mei"), ANA.named("Noor")]
        for applicant in (ANA, *others):
            api.start(applicant)
        rehearsal.default = Behaviour(message={"content": SCRIPT[-1]})
        for applicant in others:
            api.reply("Bye", applicant)
        # In an older file the phrase may have been said twice.
        interview = InterviewKey(*others[0].fields.values())
        with database.transaction(interview) as session:
            Messages(session).append(interview, "system", SCRIPT[-1], is_finished=True)
        mei, noor = ("mei", "noor")
        for number, (digest, key, state) in enumerate(
            [
                (mei, "job-1", "scored"),
                (mei, "job-1", "needs_review"),
                (mei, "job-1", "failed"),
                (noor, "job-1", "pending"),
                (noor, "job-1", "failed"),
                (mei, "job-2", "needs_review"),
            ]
        ):
            add_scorecard(database, str(number), digest, key, state)
        counts = {
            row["access_key"]: (row["applicants"], row["finished"], row["scored"])
            for row in api.get("/positions").body["positions"]
        }
        assert counts == {"job-1": (3, 2, 1), "job-2": (0, 0, 1), "Job-1": (0, 0, 0)}


class Explaining:
    """Queries of another session, whose plans are kept."""

    def __init__(self, session: Session, explain: str) -> None:
        self._session = session
        self._explain = explain
        self.plan: list[str] = []
        self.one_interview = session.one_interview
        self.one_access_key = session.one_access_key
        self.skip_locked = session.skip_locked
        self.now = session.now
        self.keep_out = session.keep_out
        self.forget_samples = session.forget_samples

    def execute(self, query: str, values: Mapping[str, object]) -> Any:
        steps = self._session.execute(f"{self._explain} {query}", values).fetchall()
        self.plan.extend(str(step[-1]) for step in steps)
        return self._session.execute(query, values)


@pytest.mark.both_databases
def test_a_list_is_counted_by_indexes(config: Config, database: Database) -> None:
    """No step of its plan may read all messages or all scorecards."""
    number = (
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000)"
    )
    digit = "CAST(n - 100 * (n / 100) AS TEXT)"
    with database.transaction() as session:
        for query in (
            "INSERT INTO messages (content, date_created, role, access_key, name, email,"
            f" is_finished) {number} SELECT 'x', '', 'user', 'job-' || {digit}, CAST(n AS TEXT),"
            " 'e', CASE WHEN n = 50 * (n / 50) THEN 1 ELSE 0 END FROM numbers",
            "INSERT INTO positions (position, access_key, title, prompt, is_open,"
            " is_scored_automatically, body, created_at, updated_at)"
            f" {number} SELECT CAST(n AS TEXT), 'job-' || CAST(n AS TEXT), 't', 'p', 1, 0, '', '',"
            " '' FROM numbers",
            "INSERT INTO scorecards (id, interview, position, access_key, name, email,"
            " transcript_sha256, rubric_version, scorer, state, created_at)"
            f" {number} SELECT CAST(n AS TEXT), '', {digit}, '', '', '', '', 1, '', 'scored', ''"
            " FROM numbers",
            "ANALYZE",
        ):
            session.execute(query, {})
        explaining = Explaining(
            session, "EXPLAIN" if config.is_postgresql else "EXPLAIN QUERY PLAN"
        )
        rows = Positions(explaining).page(20, None)
    assert rows is not None
    assert len(rows) == 20
    for index in ("messages_applicants", "messages_finished", "scorecards_position"):
        assert any(index in step for step in explaining.plan), explaining.plan
    read_whole = [step for step in explaining.plan if re.match(r"\W*(Seq Scan|SCAN)", step)]
    assert not any("messages" in step or "scorecards" in step for step in read_whole)


def add_scorecard(
    database: Database, id_: str, interview: str, access_key: str, state: str
) -> None:
    """Store as much of a scorecard as a list of positions looks at."""
    with database.transaction() as session:
        session.execute(
            "INSERT INTO scorecards (id, interview, position, access_key, name, email,"
            " transcript_sha256, rubric_version, scorer, state, created_at)"
            " VALUES (:id, :interview, :position, :access_key, '', '', '', 1, '', :state, '')",
            {
                "id": id_,
                "interview": interview,
                "position": sha256(access_key.encode()).hexdigest(),
                "access_key": access_key,
                "state": state,
            },
        )


class TestDraft:
    BODY: ClassVar = {"accessKey": "job-1"}

    @staticmethod
    def drafted(*criteria: dict[str, Any]) -> Behaviour:
        return Behaviour(message={"content": json.dumps({"criteria": criteria})})

    @staticmethod
    @contextmanager
    def unchanged(api: Api) -> Iterator[None]:
        before = position(api)
        yield
        assert position(api) == before

    def test_a_draft_is_returned_and_stored_nowhere(self, api: Api, rehearsal: Rehearsal) -> None:
        put(api, plan=PLAN, metadata={"secret": "4711"})
        rehearsal.misbehave(self.drafted(criterion(), criterion("care")))
        with self.unchanged(api):
            answer = api.post("/draft_rubric", self.BODY)
        drafted = {
            "criteria": [criterion(weight=1), criterion("care", weight=1)],
            "minCoverage": 0.6,
            "weightsRationale": None,
        }
        assert (answer.status, answer.body) == (200, {"status": "success", "rubric": drafted})
        assert put(api, rubric=answer.body["rubric"]).body["position"]["rubric"] == drafted
        request = rehearsal.requests[-1]
        read = json.loads(request["messages"][-1]["content"])
        assert set(read) == {"title", "plan"}
        assert read["plan"]["questions"][0] == QUESTIONS[0]
        schema = request["response_format"]["json_schema"]
        assert (schema["name"], schema["strict"]) == ("rubric", True)

    def test_every_object_of_the_schema_is_strict(self, api: Api, rehearsal: Rehearsal) -> None:
        put(api)
        rehearsal.misbehave(self.drafted(criterion()))
        api.post("/draft_rubric", self.BODY)
        schema = rehearsal.requests[-1]["response_format"]["json_schema"]["schema"]
        items = schema["properties"]["criteria"]["items"]
        for part in (schema, items, items["properties"]["anchors"]):
            assert part["type"] == "object"
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])

    def test_without_a_plan_the_model_reads_the_prompt(
        self, api: Api, rehearsal: Rehearsal
    ) -> None:
        put(api, prompt=PROMPT)
        rehearsal.misbehave(self.drafted(criterion()))
        assert api.post("/draft_rubric", self.BODY).status == 200
        read = json.loads(rehearsal.requests[-1]["messages"][-1]["content"])
        assert read == {"title": "Nurse", "prompt": PROMPT}

    BAD = (
        Behaviour(message={"content": "Here is a rubric."}),
        Behaviour(message={"content": "[]"}),
        Behaviour(message={"content": '{"criteria": []}'}),
        Behaviour(message={"content": json.dumps({"criteria": [criterion(), criterion()]})}),
        Behaviour(message={"content": json.dumps({"criteria": [criterion(title="a\0")]})}),
        Behaviour(message={"content": json.dumps({"criteria": [criterion(title="\ud800")]})}),
        Behaviour(message={"content": json.dumps(rubric())}, finish_reason="length"),
        Behaviour(message={"content": None, "refusal": "I cannot help with that."}),
    )

    @pytest.mark.parametrize("bad", BAD)
    def test_an_answer_that_is_no_rubric_is_asked_for_again(
        self, api: Api, rehearsal: Rehearsal, bad: Behaviour
    ) -> None:
        put(api)
        rehearsal.misbehave(bad, bad, self.drafted(criterion()))
        answer = api.post("/draft_rubric", self.BODY)
        assert answer.status == 200
        assert answer.body["rubric"]["criteria"] == [criterion(weight=1)]

    @pytest.mark.parametrize("bad", BAD)
    def test_after_three_of_them_it_is_an_error(
        self, api: Api, rehearsal: Rehearsal, bad: Behaviour
    ) -> None:
        put(api)
        rehearsal.default = bad
        with self.unchanged(api):
            answer = api.post("/draft_rubric", self.BODY)
        assert (answer.status, answer.body) == (
            500,
            {"error": "The model gave no rubric that can be used. Please try again."},
        )
        assert len(rehearsal.requests) == 3

    def test_a_model_that_does_not_answer_is_an_error(self, api: Api, rehearsal: Rehearsal) -> None:
        put(api)
        rehearsal.misbehave("no_quota")
        answer = api.post("/draft_rubric", self.BODY)
        assert (answer.status, answer.body) == (500, {"error": "Failed to get response from AI"})

    def test_a_body_that_no_access_key_can_fill_is_too_large(self, api: Api) -> None:
        limit = SPARE_BYTES + BYTES_PER_CHARACTER * 320
        for size, status in ((limit, 400), (limit + 1, 413)):
            body = b"{}" + b" " * (size - 2)
            answer = api.send("POST", "/draft_rubric", data=body, content_type="application/json")
            assert answer.status == status

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ({}, 400, "incomplete params"),
            ({"accessKey": None}, 400, "incomplete params"),
            ({"accessKey": " "}, 400, "incomplete params"),
            ({"accessKey": 5}, 400, "accessKey must be a string."),
            ({"accessKey": "a\0"}, 400, "accessKey must not hold NUL."),
            ({"accessKey": "x" * 321}, 400, "accessKey must not be longer than 320 characters."),
            ({"accessKey": "job-2"}, 404, NO_POSITION["error"]),
            ([], 400, "The body must be a JSON object."),
        ],
    )
    def test_a_request_without_a_position_asks_no_model(
        self, api: Api, rehearsal: Rehearsal, body: Any, status: int, error: str
    ) -> None:
        put(api)
        answer: Answer = api.post("/draft_rubric", body)
        assert (answer.status, answer.body) == (status, {"error": error})
        assert not rehearsal.requests


def test_a_service_without_positions_loads_no_models_of_them(tmp_path: Path) -> None:
    """Neither at the start nor for a turn."""
    program = f"""
import sys
from app import app
client = app.test_client()
fields = {ANA.fields!r}
assert client.post("/start_interview", json=fields).status_code == 400
assert client.post("/reply", json={{**fields, "message": "Hi"}}).status_code == 404
assert client.get("/positions?limit=0").status_code == 400
print(sorted(name for name in sys.modules if name.startswith("positions.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=APP_FOLDER,
        env={
            "OPENAI_API_KEY": "any",
            "DATABASE_URL": f"sqlite:///{tmp_path}/messages.db",
            **NO_AUTHORITIES,
        },
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == str(
        [
            "positions.endpoints",
            "positions.errors",
            "positions.languages",
            "positions.notices",
            "positions.queries",
        ]
    )
