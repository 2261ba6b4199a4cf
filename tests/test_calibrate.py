"""Calibration: ratings of the machine's beside those of people, over HTTP to the rehearsal."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openai_api.rehearsal import FAULTS, Behaviour, Rehearsal
from scorecards.agreement import Agreement, Reference, Retest
from scorecards.calibration import Observation, between, by_criterion, summary
from scorecards.rated_interviews import BadFile, read_interviews
from server import APP_FOLDER
from waiting import wait_until

Json = dict[str, Any]

EXAMPLES = APP_FOLDER / "examples" / "ratings.jsonl"
CRITERIA = ["problem_solving", "working_with_others", "learning_from_mistakes"]

LINES = EXAMPLES.read_text().splitlines()


def line(**changes: object) -> str:
    """Return the first example as a line, with fields that differ; `...` leaves a field out."""
    changed = {**json.loads(LINES[0]), **changes}
    return json.dumps({name: value for name, value in changed.items() if value is not ...})


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "commands", "calibrate", *map(str, arguments)]


# Settings that are blank count as unset, and are not filled in from a developer's .env.
NO_SETTINGS = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "OPENAI_MODEL": "", "PATH": ""}
NO_SETTINGS |= {"SCORING_MODEL": "", "SCORING_RUNS": "", "SCORING_CALLS": ""}


def calibrate(*arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        cwd=APP_FOLDER,
        env={**NO_SETTINGS, "SSL_CERT_DIR": os.environ["SSL_CERT_DIR"], **settings},
        capture_output=True,
        check=False,
        text=True,
        timeout=90,
    )


@pytest.fixture
def settings(rehearsal: Rehearsal) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": rehearsal.url}


@pytest.fixture
def one_interview(tmp_path: Path) -> Path:
    path = tmp_path / "one.jsonl"
    path.write_text(LINES[0])
    return path


def rated(score: int | None, *quotes: str) -> Behaviour:
    """Answer with a rating that has the quotes as evidence, all of the message 2."""
    evidence = [{"message_id": 2, "quote": quote, "polarity": "supports"} for quote in quotes]
    answer = json.dumps({"evidence": evidence, "rationale": "As it says.", "score": score})
    return Behaviour(message={"content": answer})


# The examples.


@pytest.fixture(scope="module")
def examples() -> Json:
    """What the command prints of the examples, rated by the rehearsal."""
    done = calibrate(EXAMPLES, "--rehearse", "--json")
    assert done.returncode == 0, done.stderr
    assert "REHEARSAL" in done.stderr
    printed: Json = json.loads(done.stdout)
    return printed


def test_every_example_is_rated_on_every_criterion(examples: Json) -> None:
    assert examples["interviews"] == 12
    assert examples["is_complete"] is True
    (scorer,) = examples["scorers"]
    assert scorer["scorer"] == "gpt-4o-mini,gpt-6-luna?reasoning_effort=none"
    assert scorer["failed"] == {}
    ids = [json.loads(text)["id"] for text in LINES]
    assert [(one["interview"], one["criterion"]) for one in scorer["observations"]] == [
        (id_, criterion) for id_ in ids for criterion in CRITERIA
    ]
    assert list(scorer["results"]) == [*CRITERIA, "all"]
    for one in scorer["observations"]:
        assert len(one["runs"]) == 3
        assert one["score"] in (None, 1, 2, 3, 4, 5)
        assert (one["score"] is not None) == (one["state"] == "scored")
        assert one["tokens_in"] > 100


def test_an_example_that_says_nothing_is_not_scored(examples: Json) -> None:
    (scorer,) = examples["scorers"]
    silent = [one for one in scorer["observations"] if one["interview"] == "driver-silent"]
    assert [one["state"] for one in silent] == ["insufficient_evidence"] * 3
    assert [one["runs"] for one in silent] == [[None] * 3] * 3
    assert [one["reference"] for one in silent] == [None] * 3


def test_a_score_rests_on_a_quote_that_was_verified(examples: Json) -> None:
    (scorer,) = examples["scorers"]
    scored = [one for one in scorer["observations"] if one["score"] is not None]
    assert len(scored) > 20
    assert scored[0]["reference"] == {"low": 5, "high": 5}
    assert all(one["verified"] > 0 for one in scored)


def test_an_example_with_sentences_for_the_machine_is_rated_without_them_too(
    examples: Json,
) -> None:
    (scorer,) = examples["scorers"]
    flagged = {one["interview"] for one in scorer["observations"] if one["unmasked_runs"]}
    # The developer speaks about an injection, and honestly.
    assert "sales-injection" in flagged
    assert flagged <= {"sales-injection", "developer-terse"}


def test_the_sum_of_the_criteria_is_all(examples: Json) -> None:
    (scorer,) = examples["scorers"]
    *criteria, total = scorer["results"].values()
    for name in ("observations", "unscorable", "quotes", "tokens_in", "tokens_out"):
        assert total[name] == sum(result[name] for result in criteria)
    assert total["observations"] == 36
    assert total["agreement"]["n"] == sum(result["agreement"]["n"] for result in criteria)
    assert total["unscorable"] == 11


def test_the_output_in_the_docs_is_what_the_command_prints() -> None:
    docs = (APP_FOLDER / "docs" / "scorecards.md").read_text()
    (shown,) = re.findall(
        r"^python -m commands (calibrate .*)\n```\n```\n(.*?)```", docs, re.DOTALL | re.MULTILINE
    )
    _, *arguments = shown[0].split()
    printed = calibrate(*arguments).stdout
    without_tokens = [re.sub(r"(?m)^Tokens: .*", "", text) for text in (shown[1], printed)]
    assert without_tokens[0] == without_tokens[1]


def test_the_examples_share_a_rubric_and_have_ranges_of_people() -> None:
    interviews = read_interviews(LINES)
    assert len(interviews) == len({interview.id for interview in interviews}) == 12
    assert all(interview.rubric == interviews[0].rubric for interview in interviews)
    assert [list(interview.references) for interview in interviews] == [CRITERIA] * 12


# The command.


def test_the_table_has_a_row_for_each_criterion_and_one_for_all(
    one_interview: Path, settings: dict[str, str]
) -> None:
    done = calibrate(one_interview, **settings)
    assert done.returncode == 0, done.stderr
    title, _, header, *rows, _, unscorable, quotes, tokens = done.stdout.splitlines()
    assert title.startswith("1 of 1 interviews rated by gpt-4o-mini")
    columns = "n exact within 1 kappa diff retest dist no score review rejected"
    assert header.split() == ["criterion", *columns.split()]
    assert [row.split()[0] for row in rows] == [*CRITERIA, "all"]
    # One interview has no variance.
    assert all(row.split().count("\N{EN DASH}") >= 1 for row in rows)
    assert unscorable.startswith("Scores that people could not give: 0.")
    assert quotes.startswith("Quotes: ")
    assert tokens.startswith("Tokens: ")
    assert done.stderr == "Rating\n"  # the bar itself is for terminals


def test_quotes_that_nobody_said_are_counted_and_leave_no_score(
    one_interview: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    rehearsal.default = FAULTS["invented_quote"]
    printed = json.loads(calibrate(one_interview, "--json", **settings).stdout)
    total = printed["scorers"][0]["results"]["all"]
    assert total["abstained"] == 1
    assert total["rejected"] == {"not_found": 9}
    assert total["rejected_share"] == 1
    assert total["agreement"] == Agreement(0, None, None, None, None)._asdict()
    assert total["retest"] == Retest(9, 1, None)._asdict()


def test_a_score_is_compared_with_that_of_people(
    one_interview: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    rehearsal.default = rated(3, "I asked the pharmacy for a second key under signature")
    printed = json.loads(calibrate(one_interview, "--json", **settings).stdout)
    total = printed["scorers"][0]["results"]["all"]
    assert total["agreement"] == Agreement(3, 0, 0, None, -2)._asdict()
    assert total["retest"] == Retest(9, 1, 0)._asdict()
    assert (total["quotes"], total["rejected_share"]) == (9, 0)


def test_runs_that_differ_widely_are_left_to_a_person(
    one_interview: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    rehearsal.default = FAULTS["differing"]
    printed = json.loads(calibrate(one_interview, "--json", **settings).stdout)
    total = printed["scorers"][0]["results"]["all"]
    assert total["left_to_people"] == 1
    assert total["agreement"]["n"] == 0
    assert total["retest"] == Retest(9, 0, (2 + 4 + 2) / 3)._asdict()


def test_two_models_are_compared(
    one_interview: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    rehearsal.default = rated(3, "I asked the pharmacy for a second key under signature")
    arguments = ("--model", "first", "--against", "second?temperature=0.5")
    done = calibrate(one_interview, *arguments, "--json", **settings)
    printed = json.loads(done.stdout)
    assert [scorer["scorer"] for scorer in printed["scorers"]] == [
        "first",
        "second?temperature=0.5",
    ]
    assert list(printed["comparison"]) == [*CRITERIA, "all"]
    assert printed["comparison"]["all"] == Agreement(3, 1, 1, None, 0)._asdict()
    asked = [(request["model"], request.get("temperature")) for request in rehearsal.requests]
    assert asked == [("first", None)] * 9 + [("second", 0.5)] * 9
    text = calibrate(one_interview, *arguments, **settings).stdout
    assert "Where both gave a score, second?temperature=0.5 beside first:" in text


def test_two_prompts_are_compared(
    one_interview: Path, tmp_path: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    prompt = tmp_path / "strict.txt"
    prompt.write_text("Rate strictly.\n")
    done = calibrate(one_interview, "--against-prompt", prompt, "--json", **settings)
    first, second = (scorer["scorer"] for scorer in json.loads(done.stdout)["scorers"])
    assert second == f"{first} with strict.txt"
    messages = [request["messages"][0]["content"] for request in rehearsal.requests]
    assert [message == "Rate strictly." for message in messages] == [False] * 9 + [True] * 9


def test_an_interview_that_the_model_does_not_rate_is_named(
    tmp_path: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text(f"{LINES[0]}\n\n{LINES[1]}\n")
    rehearsal.misbehave(*["refusal"] * 3)
    done = calibrate(path, **settings, SCORING_CALLS="1")
    assert done.returncode == 1
    assert done.stdout.startswith("1 of 2 interviews rated by")
    assert (
        "Not rated: nurse-excellent (the model gave no rating: the model refused)." in done.stdout
    )


def test_ctrl_c_prints_what_there_is(
    tmp_path: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text(f"{LINES[0]}\n{LINES[1]}\n")
    answer = rated(3, "I asked the pharmacy for a second key under signature")
    rehearsal.default = FAULTS["silence"]
    rehearsal.misbehave(*[answer] * 9)
    process = subprocess.Popen(
        command(path),
        cwd=APP_FOLDER,
        env={**NO_SETTINGS, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(rehearsal.requests) > 9)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert printed.startswith("Interrupted. This is what was rated until then:\n\n1 of 2 ")
    assert "learning_from_mistakes  1" in printed


def test_without_a_key_the_command_says_how_to_go_on(one_interview: Path) -> None:
    done = calibrate(one_interview)
    assert done.returncode == 1
    assert "OPENAI_API_KEY is not set" in done.stderr
    assert "--rehearse" in done.stderr


def test_a_bad_file_is_refused_before_a_model_is_asked(
    tmp_path: Path, settings: dict[str, str], rehearsal: Rehearsal
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{LINES[0]}\n{line(scores=...)}\n")
    done = calibrate(path, **settings)
    assert done.returncode == 1
    assert done.stderr == "Error: Line 2: scores is missing.\n"
    assert not rehearsal.requests


# The file.

BAD_LINES = {
    "{": "this is not valid JSON.",
    "[]": "this is no JSON object.",
    line(id=...): "id is missing.",
    line(transcript=[]): "transcript must have at least 1 items.",
    line(transcript=[{"role": "assistant", "content": "Hello"}]): (
        "transcript[0].role must be 'system' or 'user'."
    ),
    line(transcript=[{"role": "user", "content": "Hello"}] * 2): (
        "the transcript must alternate between system and user."
    ),
    line(rubric={"criteria": []}): "rubric.criteria must have at least 1 items.",
    line(scores={"problem_solving": 3}): (
        "scores.working_with_others is missing; null says that there is no score."
    ),
    line(scores={**dict.fromkeys(CRITERIA), "charm": 3}): (
        "scores.charm is no criterion of the rubric."
    ),
}


@pytest.mark.parametrize(("text", "sentence"), BAD_LINES.items())
def test_a_bad_line_is_named_with_its_reason(text: str, sentence: str) -> None:
    with pytest.raises(BadFile) as caught:
        read_interviews([LINES[1], "", text])
    assert str(caught.value) == f"Line 3: {sentence}"


@pytest.mark.parametrize(
    "score", [0, 6, 3.5, True, "3", [], [6], [3, "4"], {}, {"min": 3}, {"min": 4, "max": 3}]
)
def test_a_score_that_is_none_is_refused(score: object) -> None:
    with pytest.raises(BadFile, match=r"Line 1: scores.problem_solving must be a score from 1"):
        read_interviews([line(scores={**dict.fromkeys(CRITERIA), "problem_solving": score})])


def test_an_id_may_not_occur_twice() -> None:
    with pytest.raises(BadFile, match="Line 2: the id 'nurse-excellent' occurs twice"):
        read_interviews([LINES[0], LINES[0]])


def test_a_file_without_an_interview_is_refused() -> None:
    with pytest.raises(BadFile, match="There is no interview in the file"):
        read_interviews(["", " "])


@pytest.mark.parametrize(
    ("scores", "reference"),
    [
        (4, Reference(4, 4)),
        ({"min": 2, "max": 4}, Reference(2, 4)),
        ([5, 1, 3], Reference(3, 3)),
        ([2, 5, 3, 4], Reference(3, 4)),
        ([4, None, 2], Reference(2, 4)),
        ([4, None], Reference(4, 4)),
        ([4, None, None], None),
        ([None], None),
        (None, None),
    ],
)
def test_what_people_say_is_read(scores: object, reference: Reference | None) -> None:
    (interview,) = read_interviews([line(scores=dict.fromkeys(CRITERIA, scores))])
    assert interview.references == dict.fromkeys(CRITERIA, reference)


def test_a_transcript_may_begin_with_the_prompt_as_get_messages_gives_it() -> None:
    messages = [
        {"role": "system", "content": "You interview.", "id": 7, "timestamp": "..."},
        {"role": "system", "content": "Welcome."},
        {"role": "user", "content": "Hello."},
    ]
    (whole,) = read_interviews([line(transcript=messages)])
    (without,) = read_interviews([line(transcript=messages[1:])])
    contents = [[message.content for message in read.transcript] for read in (whole, without)]
    assert contents == [["Welcome.", "Hello."]] * 2


# The sums.


def observed(
    score: int | None, reference: Reference | None, criterion: str = "a", **changes: Any
) -> Observation:
    state = "insufficient_evidence" if score is None else "scored"
    fields = {
        "interview": "one",
        "criterion": criterion,
        "reference": reference,
        "state": state,
        "score": score,
        "runs": (score,) * 3,
        "unmasked_runs": (),
        "verified": 1,
        "rejected": (),
        "tokens_in": 10,
        "tokens_out": 1,
    }
    return Observation(**{**fields, **changes})


def test_scores_where_people_gave_none_are_counted_and_agree_with_nothing() -> None:
    three = Reference(3, 3)
    scores: list[tuple[int | None, Reference | None]]
    scores = [(3, three), (5, None), (None, None), (None, three)]
    found = summary([observed(score, reference) for score, reference in scores])
    assert found.agreement == Agreement(1, 1, 1, None, 0)
    assert (found.unscorable, found.unscorable_scored) == (2, 1)
    assert found.abstained == 0.5


def test_nothing_observed_has_no_figures() -> None:
    found = summary([])
    assert found.agreement == Agreement(0, None, None, None, None)
    assert (found.abstained, found.left_to_people, found.rejected_share) == (None, None, None)


def test_rejected_quotes_are_counted_by_reason() -> None:
    found = summary(
        [
            observed(3, None, rejected=("joined", "not_found")),
            observed(3, None, rejected=("not_found",)),
        ]
    )
    assert found.rejected == {"not_found": 2, "joined": 1}
    assert (found.quotes, found.rejected_share) == (5, 3 / 5)


def test_two_machines_are_compared_where_both_gave_a_score() -> None:
    first = [observed(3, None, "a"), observed(None, None, "b"), observed(2, None, "c")]
    second = [observed(4, None, "a"), observed(4, None, "b"), observed(None, None, "c")]
    assert between(first, second) == Agreement(1, 0, 1, None, 1)


def test_observations_are_grouped_in_the_order_of_the_criteria() -> None:
    groups = by_criterion([observed(1, None, "b"), observed(2, None, "a"), observed(3, None, "b")])
    assert {name: [one.score for one in group] for name, group in groups.items()} == {
        "b": [1, 3],
        "a": [2],
    }
    assert list(groups) == ["b", "a"]
