"""The board's positions, applicants and invitations, with the forms that change them."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from api import ANA, Applicant
from boards import Board, Page
from config import Config
from openai_api.rehearsal import Behaviour, Rehearsal
from pages.board_applicants import APPLICANTS_IN_PAGE
from scored import RUBRIC, hold, put_position, store_scorecard
from web.service import service

pytestmark = pytest.mark.both_databases

JOB = f"/board/positions/{ANA.access_key}"
FIELDS = {
    "title": "Nurse, night shift",
    "access_key": ANA.access_key,
    "objective": "Find out who can lead a night.",
    "q0_text": "What do you do first?",
    "q0_follow_ups": "2",
    "q2_text": "How do you hand over?",
    "language": "Deutsch",
    "minutes": "45",
    "c0_title": "Own part",
    "c0_definition": "Says what they did.",
    "c0_weight": "2",
    "c0_1": "Speaks of others.",
    "c0_3": "Names a task.",
    "c0_5": "Names task and result.",
    "c1_title": "Own part",
    "c1_definition": "Says it again.",
    "c1_1": "Never.",
    "c1_3": "Once.",
    "c1_5": "Twice.",
    "rationale": "The first is what the job is about.",
    "coverage": "50",
    "scoring": "automatic",
}


@pytest.fixture
def board(config: Config) -> Iterator[Board]:
    board = Board(config)
    yield board
    service(board.app).close()


def rows(page: Page) -> list[str]:
    """The names in the list of applicants, in order."""
    found = re.findall(r'<th scope="row"><a [^>]*>(.*?)</a><br>', page.html)
    assert found or "Nobody here is like this." in page.text
    return found


def error_at(page: Page, field: str) -> str:
    """What is said at a field that is not right."""
    (sentence,) = re.findall(rf'<p class="error" id="{field}-error"[^>]*>(.*?)</p>', page.html)
    given = next(given for _, given in page.tags if given.get("id") == field)
    assert given["aria-invalid"] == "true"
    assert f"{field}-error" in given["aria-describedby"]
    return str(sentence)


def links_of(page: Page) -> list[str]:
    return re.findall(r"http://localhost/interview#[\w-]{43}", page.html)


def opened(board: Board, link: str) -> int:
    return board.api.post("/open_invitation", {"secret": link.partition("#")[2]}).status


# Positions.


def test_a_position_is_made_by_its_form_and_edited(board: Board) -> None:
    page = board.get("/board/new_position")
    page = board.send(page, page.form(having="title"), **FIELDS)
    assert page.url.endswith(JOB)
    assert "The position is made." in page.text
    assert "Nobody is invited yet." in page.text
    made = board.api.get(f"/positions/{ANA.access_key}").body["position"]
    assert made["title"] == "Nurse, night shift"
    assert made["plan"]["questions"] == [
        {"text": "What do you do first?", "followUps": 2},
        {"text": "How do you hand over?", "followUps": 1},
    ]
    assert (made["plan"]["language"], made["timeLimit"]) == ("Deutsch", 2700)
    assert [one["id"] for one in made["rubric"]["criteria"]] == ["own_part", "own_part_2"]
    assert [one["weight"] for one in made["rubric"]["criteria"]] == [2, 1]
    assert (made["rubric"]["minCoverage"], made["scoring"]) == (0.5, "automatic")

    page = board.get(f"{JOB}/edit")
    form = page.form(having="title")
    assert form.fields["q1_text"] == "How do you hand over?"
    assert form.fields["c1_definition"] == "Says it again."
    page = board.send(page, form, title="Night nurse", c0_title="Their own part")
    assert "Saved." in page.text
    edited = board.api.get(f"/positions/{ANA.access_key}").body["position"]
    assert edited["title"] == "Night nurse"
    assert edited["plan"] == made["plan"]
    assert edited["rubricVersion"] == 2
    assert [one["id"] for one in edited["rubric"]["criteria"]] == ["own_part", "own_part_2"]
    assert "Night nurse" in board.get("/board").text


def test_saving_what_was_not_changed_changes_nothing(board: Board) -> None:
    put_position(
        board.api,
        rubric={**RUBRIC, "minCoverage": 0.615},
        timeLimit=100,
        metadata={"ats": "4711"},
        prompt="  Indented.\n\n\tAnd so on.\n",
    )
    before = board.api.get(f"/positions/{ANA.access_key}").body["position"]
    page = board.get(f"{JOB}/edit")
    assert "Saved." in board.send(page, page.form(having="title")).text
    after = board.api.get(f"/positions/{ANA.access_key}").body["position"]
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}


def test_a_position_may_have_a_key_made_up_and_a_prompt_of_its_own(board: Board) -> None:
    page = board.get("/board/new_position")
    page = board.send(
        page, page.form(having="title"), title="Nurse", kind="prompt", prompt="Ask.\n<b>Now</b>"
    )
    assert "The position is made." in page.text
    (made,) = board.api.get("/positions").body["positions"]
    assert re.fullmatch(r"[\w-]{8}", made["access_key"])
    stored = board.api.get(f"/positions/{made['access_key']}").body["position"]
    assert stored["prompt"].splitlines() == ["Ask.", "<b>Now</b>"]


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"title": " "}, "title", "This must not be blank."),
        ({"title": "x" * 201}, "title", "This must not be longer than 200 characters."),
        ({"objective": ""}, "objective", "This must not be blank."),
        ({"minutes": "soon"}, "minutes", "This must be a"),
        ({"minutes": "0.5"}, "minutes", "This must be"),
        ({"minutes": "241"}, "minutes", "This must be"),
        ({"q0_text": "x" * 2001}, "q0_text", "This must not be longer"),
        ({"q0_text": "", "q2_text": ""}, "q0_text", "This must have at least 1 items."),
        ({"q2_follow_ups": "9"}, "q2_follow_ups", "This must be 3 or less."),
        ({"c1_title": ""}, "c1_title", "This must not be blank."),
        ({"c1_3": ""}, "c1_3", "This must not be blank."),
        ({"c1_3": "Never."}, "c1_1", "This must all be different."),
        ({"c0_weight": "11"}, "c0_weight", "This must be 10.0 or less."),
        ({"c0_weight": "heavy"}, "c0_weight", "This must be a number."),
        ({"coverage": "101"}, "coverage", "This must be 1"),
        ({"rationale": ""}, "rationale", "This must have"),
        ({"access_key": "a/b"}, "access_key", "This must not hold a slash."),
        ({"access_key": "x" * 321}, "access_key", "This must not be longer"),
        ({"access_key": ".."}, "access_key", "This must not be"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_all_that_was_typed_is_kept(
    board: Board, changes: dict[str, str], field: str, sentence: str
) -> None:
    page = board.get("/board/new_position")
    typed = {**FIELDS, **changes}
    page = board.send(page, page.form(having="title"), **typed)
    assert page.status == 400
    assert error_at(page, field).startswith(sentence)
    fields = page.form(having="title").fields
    # Rows are numbered anew, without the one that was left out; a choice is one of those offered.
    kept = [value for name, value in typed.items() if not name.endswith("_follow_ups")]
    assert {value for value in kept if value} <= set(fields.values())
    assert board.api.get("/positions").body["positions"] == []


def test_a_key_that_is_taken_is_not_taken_again(board: Board) -> None:
    put_position(board.api)
    page = board.get("/board/new_position")
    page = board.send(page, page.form(having="title"), **FIELDS)
    assert (page.status, board.api.get("/positions").body["positions"][0]["title"]) == (
        400,
        "Nurse",
    )
    assert "already" in error_at(page, "access_key")


def test_who_edits_what_somebody_else_has_changed_is_told_before_it_is_lost(board: Board) -> None:
    put_position(board.api)
    page = board.get(f"{JOB}/edit")
    put_position(board.api, title="Meanwhile")
    page = board.send(page, page.form(having="title"), title="Mine")
    assert page.status == 409
    assert "Somebody has changed this position" in page.text
    assert page.form(having="title").fields["title"] == "Mine"
    assert board.api.get(f"/positions/{ANA.access_key}").body["position"]["title"] == "Meanwhile"
    assert "Saved." in board.send(page, page.form(having="title")).text
    assert board.api.get(f"/positions/{ANA.access_key}").body["position"]["title"] == "Mine"


def test_rows_are_added_and_removed_without_a_script(board: Board) -> None:
    page = board.get("/board/new_position")
    page = board.send(page, page.form(having="title"), **FIELDS, action="add-question")
    assert page.form(having="title").fields["q3_text"] == ""
    page = board.send(page, page.form(having="title"), action="remove-question:0")
    fields = page.form(having="title").fields
    assert fields["q1_text"] == "How do you hand over?"
    page = board.send(page, page.form(having="title"), action="add-criterion")
    assert page.form(having="title").fields["c2_title"] == ""
    page = board.send(page, page.form(having="title"), action="remove-criterion:0")
    assert page.form(having="title").fields["c0_definition"] == "Says it again."
    assert board.api.get("/positions").body["positions"] == []


def test_a_rubric_is_drafted_into_the_form_and_stored_only_when_it_is_saved(
    board: Board, rehearsal: Rehearsal
) -> None:
    page = board.get("/board/new_position")
    filled = {name: value for name, value in FIELDS.items() if not re.match(r"c\d|ratio", name)}
    rehearsal.misbehave(Behaviour(message={"content": json.dumps(RUBRIC)}))
    page = board.send(page, page.form(having="title"), **filled, action="draft")
    fields = page.form(having="title").fields
    assert (fields["c0_id"], fields["c1_title"]) == ("judgement", "Teamwork")
    assert "Nothing is stored yet." in page.text
    assert board.api.get("/positions").body["positions"] == []
    assert "The position is made." in board.send(page, page.form(having="title")).text

    rehearsal.misbehave(Behaviour(message={"content": "none"}), Behaviour(status=500))
    page = board.get(f"{JOB}/edit")
    page = board.send(page, page.form(having="title"), objective="Kept", action="draft")
    assert page.form(having="title").fields["objective"] == "Kept"


def test_a_position_is_closed_and_opened(board: Board) -> None:
    put_position(board.api)
    page = board.get(JOB)
    page = board.send(page, page.form("/open"))
    assert "The position is closed." in page.text
    assert board.api.get(f"/positions/{ANA.access_key}").body["position"]["isOpen"] is False
    page = board.send(page, page.form("/open"))
    assert "The position is open." in page.text
    assert board.api.get(f"/positions/{ANA.access_key}").body["position"]["isOpen"] is True


def test_positions_are_listed_a_page_at_a_time_with_their_numbers(
    board: Board, rehearsal: Rehearsal
) -> None:
    for number in range(51):
        put_position(board.api, f"job {number}", rubric=None, title=f"Job {number}")
    page = board.get("/board")
    assert "Job 50" in page.text
    assert "Job 0" not in page.text
    (older,) = [link for link in page.links() if "after=" in link]
    assert "Job 0" in board.get(older).text
    assert board.get("/board?after=nobody").status == 200


# Applicants.


@pytest.fixture
def full(board: Board, rehearsal: Rehearsal) -> Board:
    """The board with an applicant in each state: Ana scored best, and Zoe is only invited."""
    put_position(board.api)
    names = ("Ana", "Ben", "Cem", "Dia", "Eva_1")
    people = [ANA.named(name) for name in names]
    for person in people[:4]:
        hold(board.api, rehearsal, "I check the list.", applicant=person)
    assert board.api.start(people[4]).status == 200
    assert board.api.post("/invitations", ANA.named("Zoe").fields).status == 200
    store_scorecard(board.database, people[0], {"judgement": (5, 5, 5)}, total=4.5)
    store_scorecard(board.database, people[1], {"judgement": (2, 2, 2)}, total=2.0)
    store_scorecard(board.database, people[2], {"judgement": (1, 5, 3)})
    for person, decision in ((people[0], "rejected"), (people[0], "selected")):
        body = {**person.fields, "decision": decision, "reason": "So.", "reviewer": "B. Okafor"}
        assert board.api.post("/decide", body).status == 200
    return board


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Eva_1", "Dia", "Cem", "Ben", "Ana", "Zoe"]),
        ("sort=name", ["Ana", "Ben", "Cem", "Dia", "Eva_1", "Zoe"]),
        ("sort=total", ["Ana", "Ben"]),
        ("sort=lowest", ["Ben", "Ana"]),
        ("state=started", ["Eva_1"]),
        ("state=finished", ["Dia", "Cem", "Ben", "Ana"]),
        ("state=unscored", ["Dia"]),
        ("state=scored", ["Cem", "Ben", "Ana"]),
        ("state=needs_review", ["Cem"]),
        ("state=invited", ["Zoe"]),
        ("decision=selected", ["Ana"]),
        ("decision=rejected", []),
        ("decision=undecided", ["Eva_1", "Dia", "Cem", "Ben", "Zoe"]),
        ("decision=undecided&state=scored&sort=total", ["Ben"]),
        ("q=DIA", ["Dia"]),
        ("q=_", ["Eva_1"]),
        ("q=%25", []),
        ("q=jobs%40EXAMPLE&sort=name&state=scored", ["Ana", "Ben", "Cem"]),
        ("q=zo", ["Zoe"]),
        ("q='", []),
        ("state=x&decision=x&sort=x&page=x", ["Eva_1", "Dia", "Cem", "Ben", "Ana", "Zoe"]),
        ("page=2", []),
        ("page=0", ["Eva_1", "Dia", "Cem", "Ben", "Ana", "Zoe"]),
        ("page=999999", []),
        ("q=%00%ff", ["Eva_1", "Dia", "Cem", "Ben", "Ana", "Zoe"]),
    ],
)
def test_applicants_are_filtered_sorted_and_searched(
    full: Board, query: str, names: list[str]
) -> None:
    if query == "q=%00%ff":
        names = rows(full.get(f"{JOB}?q=%EF%BF%BD"))  # as which such bytes are read
    page = full.get(f"{JOB}?{query}")
    assert rows(page) == names
    answer = full.recruiter.client.get(f"{JOB}/applicants.csv?{query}")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="applicants.csv"'
    listed = [row["name"] for row in csv.DictReader(io.StringIO(answer.text))]
    if "page" not in query:
        assert listed == names


def test_the_list_says_how_far_each_applicant_is(full: Board) -> None:
    page = full.get(JOB)
    found = ["Started", "Finished", "Needs review", "Scored", "Scored"]
    assert re.findall(r'class="tag [a-z]*">([^<]+)<', page.html) == [
        *found,
        "Selected",
        "Invited",
    ]
    assert "Invited 1 Started 5 Finished 4 80 % Scored 3 60 %" in page.text
    answer = full.recruiter.client.get(f"{JOB}/applicants.csv?decision=selected")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["state"], row["total"], row["decision"]) == ("scored", "4.5", "selected")
    assert row["decided_by"] == "B. Okafor"


def test_the_filter_shows_what_it_filters_by(full: Board) -> None:
    page = full.get(f"{JOB}?q=%3Ca%3E&state=scored&decision=undecided&sort=name")
    form = page.form(having="sort")
    assert form.fields == {"q": "<a>", "state": "scored", "decision": "undecided", "sort": "name"}


def test_pages_follow_each_other_and_lose_and_double_nobody(board: Board) -> None:
    put_position(board.api)
    started = [ANA.named(f"Started {number:03}") for number in range(APPLICANTS_IN_PAGE + 3)]
    for person in started:
        assert board.api.start(person).status == 200
    invited = [ANA.named(f"Invited {number:03}") for number in range(APPLICANTS_IN_PAGE)]
    for person in invited:
        assert board.api.post("/invitations", person.fields).status == 200
    for query in ("", "?sort=name", "?q=ed"):
        page, found = board.get(f"{JOB}{query}"), []
        while True:
            found += rows(page)
            further = [link for link, tag in zip(links(page), rels(page), strict=True) if tag]
            if not further:
                break
            page = board.get(further[0])
        assert len(found) == len(started) + len(invited)
        assert set(found) == {person.name for person in started + invited}


def links(page: Page) -> list[str]:
    return list(page.links())


def rels(page: Page) -> list[bool]:
    """For each link, whether it leads to the next page."""
    return [
        given.get("rel") == "next" for tag, given in page.tags if tag == "a" and "href" in given
    ]


def test_applicants_are_compared_side_by_side(full: Board) -> None:
    page = full.get(f"{JOB}?sort=name")
    numbers = [given["value"] for tag, given in page.tags if given.get("name") == "i"]
    assert len(numbers) == 5
    query = "&".join(f"i={number}" for number in numbers[:3])
    page = full.get(f"{JOB}/compare?{query}")
    for shown in ("Ana", "Ben", "Cem", "Selected", "4.5", "needs a person"):
        assert shown in page.text
    assert "Dia" not in page.text
    query = "&".join(f"i={number}" for number in numbers)
    page = full.get(f"{JOB}/compare?{query}")
    assert "these are the first four" in page.text
    assert "Eva_1" not in page.text
    for query in ("", "?i=x&i=-1", f"?i={numbers[0]}&i={numbers[0]}", f"?i={'9' * 17}&i=0"):
        page = full.get(f"{JOB}/compare{query}")
        assert page.status == 200
        assert "Tick two to four" in page.text


def test_applicants_of_another_position_are_not_compared(full: Board) -> None:
    numbers = [given["value"] for _, given in full.get(JOB).tags if given.get("name") == "i"]
    put_position(full.api, "job-2")
    page = full.get(f"/board/positions/job-2/compare?i={numbers[0]}&i={numbers[1]}")
    assert "Tick two to four" in page.text


def test_the_overview_shows_what_there_is(full: Board) -> None:
    page = full.get(f"{JOB}/overview")
    assert "Invited 1 Started 5 Finished 4 80 % Scored 3" in page.text
    assert "Median total 3.2" in page.text
    assert "1 still needs a person’s review." in page.text
    assert "1 has no total" in page.text


def test_the_overview_of_nothing_says_so(board: Board) -> None:
    put_position(board.api)
    page = board.get(f"{JOB}/overview")
    assert "Nobody has been invited yet." in page.text
    assert "No interview has been scored yet." in page.text


# Invitations.


@pytest.fixture
def inviting(config: Config) -> Iterator[Board]:
    board = Board(replace(config, secret_key=("s" * 40,)))
    put_position(board.api)
    yield board
    service(board.app).close()


def test_one_applicant_is_invited_and_their_link_works(inviting: Board) -> None:
    page = inviting.get(f"{JOB}/invite")
    page = inviting.send(
        page, page.form(having="name"), name=" Ana María ", email="ana@example.com"
    )
    (link,) = links_of(page)
    assert opened(inviting, link) == 200
    assert "cannot be shown again" in page.text
    assert link.partition("#")[2] not in inviting.get(JOB).html
    (listed,) = rows(inviting.get(JOB))
    assert listed == "Ana María"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 321}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"email": ""}, "email"),
        ({"email": "ana"}, "email"),
        ({"email": "@example.com"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "x" * 321 + "@example.com"}, "email"),
        ({"days": "0"}, "days"),
        ({"days": "91"}, "days"),
        ({"days": "two"}, "days"),
        ({"days": "1e1"}, "days"),
    ],
)
def test_a_wrong_invitation_is_said_at_its_field_and_nobody_is_invited(
    inviting: Board, changes: dict[str, str], field: str
) -> None:
    page = inviting.get(f"{JOB}/invite")
    typed = {"name": "Ana", "email": "ana@example.com", "days": "14", **changes}
    page = inviting.send(page, page.form(having="name"), **typed)
    assert page.status == 400
    assert error_at(page, field)
    fields = page.form(having="name").fields
    assert {name: fields[name] for name in typed if "\0" not in typed[name]} == {
        name: value for name, value in typed.items() if "\0" not in value
    }
    assert "Nobody is invited yet." in inviting.get(JOB).text


def test_of_many_the_days_are_wrong_in_the_form_that_was_sent(inviting: Board) -> None:
    page = inviting.get(f"{JOB}/invite")
    page = inviting.send(page, page.form(having="many"), lines="Ana,ana@example.com", days="0")
    assert error_at(page, "many-days")
    assert 'id="days-error"' not in page.html
    assert "Nobody is invited yet." in inviting.get(JOB).text


def test_of_many_none_is_invited_while_a_line_is_wrong(inviting: Board) -> None:
    page = inviting.get(f"{JOB}/invite")
    text = "Name,E-mail\nAna,ana@example.com\nBen\n\nCem,nowhere\nAna,ana@example.com\n,d@e\n"
    page = inviting.send(page, page.form(having="many"), lines=text)
    assert page.status == 400
    said = re.findall(r"<li>(Line \d+).*?</q>: (.*?)</li>", page.html)
    assert said == [
        ("Line 3", "A line has a name and an address, and no more."),
        ("Line 5", "This is not an e-mail address."),
        ("Line 6", "The same person as in line 2."),
        ("Line 7", "The name is missing."),
    ]
    assert page.form(having="many").fields["lines"].splitlines() == text.splitlines()
    assert "Nobody is invited yet." in inviting.get(JOB).text

    corrected = 'Name,E-mail\nAna,ana@example.com\n"Cruz, Ben",ben@example.com'
    page = inviting.send(page, page.form(having="many"), lines=corrected, days="3")
    made = links_of(page)
    assert len(set(made)) == 2
    assert [opened(inviting, link) for link in made] == [200, 200]
    assert rows(inviting.get(JOB)) == ["Cruz, Ben", "Ana"]


@pytest.mark.parametrize(
    "content",
    [
        "Ana,ana@example.com\nBen,ben@example.com\n",
        "\ufeffname;email\r\nAna;ana@example.com\r\nBen;ben@example.com\r\n",
        "email\tname\nana@example.com\tAna\nben@example.com\tBen",
    ],
)
def test_a_file_of_many_is_read(inviting: Board, content: str) -> None:
    page = inviting.get(f"{JOB}/invite")
    file = (io.BytesIO(content.encode()), "people.csv")
    page = inviting.send(page, page.form(having="many"), file=file)
    assert len(links_of(page)) == 2
    assert sorted(rows(inviting.get(JOB))) == ["Ana", "Ben"]


def test_a_file_that_cannot_be_read_is_said_at_its_field(inviting: Board) -> None:
    for content, field in (
        ("Ana,ana@exámple.com".encode("latin-1"), "file"),
        (b"x" * 140_000 + b",b@c", "lines"),
        (b" \n\n", "lines"),
        (b"".join(b"a%d,a@b\n" % number for number in range(1001)), "lines"),
    ):
        page = inviting.get(f"{JOB}/invite")
        file = (io.BytesIO(content), "people.csv")
        page = inviting.send(page, page.form(having="many"), file=file)
        assert page.status == 400
        assert error_at(page, field)
    assert "Nobody is invited yet." in inviting.get(JOB).text


def test_a_link_is_replaced_and_withdrawn(inviting: Board) -> None:
    page = inviting.get(f"{JOB}/invite")
    page = inviting.send(page, page.form(having="name"), name="Ana", email="a@example.com")
    (first,) = links_of(page)
    (place,) = [link for link in inviting.get(JOB).links() if "/invitations/" in link]
    page = inviting.get(place)
    page = inviting.send(page, page.form("/renew"))
    (second,) = links_of(page)
    assert (opened(inviting, first), opened(inviting, second)) == (410, 200)
    page = inviting.get(place)
    assert page.url != place, "the newest invitation is shown"
    page = inviting.send(page, page.form("/withdraw"))
    assert "its link is dead" in page.text
    assert "Withdrawn" in page.text
    assert opened(inviting, second) == 410


def test_an_invitation_that_has_become_an_interview_leads_to_it(inviting: Board) -> None:
    assert inviting.api.post("/invitations", ANA.fields).status == 200
    (place,) = [link for link in inviting.get(JOB).links() if "/invitations/" in link]
    assert inviting.api.start(ANA).status == 200
    assert "/board/interviews/" in inviting.get(place).url


def test_what_does_not_exist_is_a_page_that_says_so(board: Board) -> None:
    for path in (
        *("/board/positions/none", "/board/positions/none/edit", "/board/positions/none/invite"),
        *("/board/positions/none/compare", "/board/positions/none/overview"),
        *("/board/interviews/1", "/board/invitations/1", "/board/interviews/0"),
        *(f"/board/interviews/{'9' * 19}", f"/board/invitations/{'9' * 40}"),
    ):
        page = board.get(path)
        assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "This could not be done" in page.text


# What open pages ask for.


def test_the_version_changes_with_everything_that_a_page_shows(
    board: Board, rehearsal: Rehearsal
) -> None:
    seen = [board.version()]
    place = ""

    def change(make: Callable[[], object]) -> None:
        make()
        seen.append(board.version())
        assert seen[-1] not in seen[:-1]
        assert board.version() == seen[-1]

    change(lambda: put_position(board.api))
    change(lambda: board.api.post("/invitations", ANA.named("Zoe").fields))
    (place,) = [link for link in board.get(JOB).links() if "/invitations/" in link]
    page = board.get(place)
    change(lambda: board.send(page, page.form("/withdraw")))
    change(lambda: board.api.start(ANA))
    change(lambda: hold(board.api, rehearsal, "I check.", applicant=ANA.named("Ben")))
    ben = ANA.named("Ben")
    change(lambda: board.api.post("/score_interview", ben.fields))
    change(lambda: store_scorecard(board.database, ben, {"judgement": (5, 5, 5)}, total=5))
    decision = {"decision": "selected", "reason": "So.", "reviewer": "B."}
    change(lambda: board.api.post("/decide", {**ben.fields, **decision}))
    page_of_job = board.get(JOB)
    change(lambda: board.send(page_of_job, page_of_job.form("/open")))

    answer = board.recruiter.client.get("/board/version", headers={"If-None-Match": seen[-1]})
    assert answer.status_code == 304


def test_a_position_of_any_key_has_its_pages(board: Board) -> None:
    for key in ("Ünd 🙂", "100%", "a?b#c", "a&b='\"<c>", " x ", "a+b", "%2e%2e"):
        put_position(board.api, key)
        person = Applicant(key, "Ana", "a@b")
        assert board.api.start(person).status == 200
        page = board.get("/board")
        (place,) = [link for link in page.links() if link.endswith(quote(key, safe=""))]
        page = board.get(place)
        assert rows(page) == ["Ana"]
        for link in page.links():
            if "#" not in link and not link.endswith(".zip"):  # which is no text
                assert board.get(link).status == 200
        assert board.send(page, page.form("/open")).status == 200
