"""`python -m commands impact`: who counts, what is printed, and what is not."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import ANA, Applicant
from config import APP_FOLDER, Config
from db import Database, Messages, open_database
from exported import Html, key_of
from records.queries import Decisions
from scorecards.queries import Counting, ScorecardReviews, Scorecards
from scored import store_scorecard
from server import run_command

JOB = ANA.access_key
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def person(name: str, email: str = "") -> Applicant:
    return Applicant(JOB, name, email or f"{name.lower()}@example.com")


def hear(
    database: Database,
    applicant: Applicant,
    total: float | None = None,
    decision: str = "",
    *,
    is_finished: bool = True,
    is_scored: bool = True,
) -> str:
    """Store an interview, with a scorecard and a decision, and return the scorecard's id."""
    key = key_of(applicant)
    with database.transaction(key) as session:
        Messages(session).add(key, "system", "Hello")
        Messages(session).add(key, "system", "Goodbye", is_finished=is_finished)
        if decision:
            Decisions(session).add(key, decision, "R", "B")
    if not is_scored:
        return ""
    return store_scorecard(database, applicant, {"care": (3, 3, 3)}, total=total)


def impact(config: Config, file: Path, *options: str, access_key: str = JOB) -> Any:
    return run_command(config.database_url, "impact", access_key, "--groups", file, *options)


def report(config: Config, file: Path, *options: str) -> Any:
    done = impact(config, file, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def groups_of(figures: Any, by: str) -> dict[str, Any]:
    (comparison,) = (one for one in figures if one["by"] == by)
    return {group["name"]: group for group in comparison["groups"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "groups.csv"
    path.write_text(
        "email,sex,race_ethnicity\n"
        "a@example.com,Female,Asian\nb@example.com,Female,White\n"
        "c@example.com,Male,White\nd@example.com,Male,Asian\n"
    )
    return path


@pytest.fixture
def sample(database: Database) -> Database:
    """Four with groups, and one without, of whom two are above the median."""
    hear(database, person("A"), 4.5, "selected")
    hear(database, person("B"), 2.0, "rejected")
    hear(database, person("C"), 3.0, "selected")
    hear(database, person("D"), 4.0, "potential")
    hear(database, person("Nobody"), 3.0)
    return database


@pytest.mark.both_databases
def test_the_figures_are_those_of_the_finished_and_scored(
    config: Config, sample: Database, file: Path
) -> None:
    hear(sample, person("Under way"), is_finished=False, is_scored=False)
    hear(sample, person("Unscored", "a@example.com"), decision="rejected", is_scored=False)
    hear(sample, person("Silent", "c@example.com"), None, "selected")
    hear(sample, Applicant("job-2", "Other", "a@example.com"), 5.0, "selected")
    found = report(config, file)
    assert found["sample"] == {
        "finished": 7,
        "unfinished": 1,
        "unscored": 1,
        "without_total": 1,
        "in_review": 0,
        "decisions": {"potential": 1, "rejected": 2, "selected": 3, "undecided": 1},
        "rubric_versions": [1],
        "not_in_file": 1,
        "unmatched": 0,
    }
    assert (found["median"], found["above_median"]) == (3.0, 2)
    scoring, selection = groups_of(found["scoring"], "sex"), groups_of(found["selection"], "sex")
    assert [(one["applicants"], one["favoured"]) for one in scoring.values()] == [(2, 1), (2, 1)]
    assert [(one["applicants"], one["favoured"]) for one in selection.values()] == [(3, 1), (3, 2)]
    assert selection["Female"]["impact_ratio"] == 0.5
    assert selection["Female"]["below_four_fifths"]
    assert [one["by"] for one in found["scoring"]] == ["sex", "race", "both"]
    assert set(groups_of(found["scoring"], "both")) == {
        *("Female, Asian", "Female, White", "Male, Asian", "Male, White")
    }
    assert [one["unknown"] for one in found["scoring"]] == [1, 1, 1]


@pytest.mark.both_databases
def test_totals_and_decisions_are_the_newest_ones_that_count(
    config: Config, sample: Database, file: Path
) -> None:
    before = report(config, file)
    assert before["median"] == 3.0
    assert groups_of(before["scoring"], "race")["White"]["favoured"] == 0
    with sample.transaction() as session:
        scorecards = Scorecards(session)
        newest = scorecards.newest(key_of(person("C")))
        assert newest is not None
        # A review raises it, and with it the total.
        ScorecardReviews(session).add(newest.id, "care", 5, "R", "B")
        scorecards.count(newest.id, Counting("scored", 5.0, 1.0, {"care": 5}))
        Decisions(session).add(key_of(person("C")), "rejected", "R", "B")
    # A second scorecard that failed does not take the place of one with a result.
    with sample.transaction() as session:
        Scorecards(session).add("f" * 32, key_of(person("D")), "0" * 64, 1, "", {})
        Scorecards(session).fail("f" * 32, "It failed.", {})
    found = report(config, file)
    assert found["median"] == 4.0
    assert groups_of(found["scoring"], "race")["White"]["favoured"] == 1
    assert groups_of(found["selection"], "sex")["Male"]["favoured"] == 0


def test_rubrics_reviews_and_decisions_that_make_figures_doubtful_are_told(
    config: Config, sample: Database, file: Path
) -> None:
    store_scorecard(sample, person("B"), {"care": (1, 5, 3)}, total=2.0, rubric_version=2)
    hear(sample, person("Twice", "a@example.com"), 3.0)
    found = report(config, file)
    text = "\n".join(found["notes"])
    assert "2 are not decided yet." in text
    assert "1 scorecards still need a review." in text
    assert "different versions of the rubric are compared: 1, 2." in text
    assert "2 interviews have an address that another one has; each counts." in text


def test_addresses_go_to_standard_error_and_into_no_report(
    config: Config, sample: Database, file: Path
) -> None:
    with file.open("a") as lines:
        lines.write("Stranger@Example.com,Male,Other\nA@example.com,female,asian\n")
    for kind in ("table", "csv", "html", "json"):
        done = impact(config, file, "--format", kind)
        assert done.returncode == 0
        assert "No applicant has these addresses: Stranger@Example.com." in done.stderr
        assert "several times: a@example.com." in done.stderr
        assert "@" not in done.stdout.replace("@media", "")
    found = report(config, file)
    assert found["sample"]["unmatched"] == 1
    other = groups_of(found["scoring"], "race")["Other"]
    assert (other["applicants"], other["rate"], other["impact_ratio"]) == (0, None, None)


def test_the_table_is_as_wide_as_it_needs_to_be(
    config: Config, sample: Database, file: Path
) -> None:
    lines = impact(config, file).stdout.splitlines()
    start = lines.index("Decisions, by sex")
    assert lines[start + 2 : start + 6] == [
        "group      applicants  selected  selection rate  impact ratio      p",
        "Female              2         1          50.0 %         1.000      –  highest rate",
        "Male                2         1          50.0 %         1.000  1.000",
        "(unknown)           1",
    ]


def test_the_csv_has_a_row_for_each_group(config: Config, sample: Database, file: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(impact(config, file, "--format", "csv").stdout)))
    assert len(rows) == 2 * (2 + 1 + 2 + 1 + 4 + 1)
    (row,) = (
        one
        for one in rows
        if (one["figure"], one["by"], one["sex"]) == ("selection", "sex", "Male")
    )
    assert (row["applicants"], row["favoured"], row["rate"]) == ("2", "1", "0.5")
    (unknown,) = (
        one
        for one in rows
        if (one["figure"], one["by"], one["sex"]) == ("scoring", "both", "(unknown)")
    )
    assert (unknown["applicants"], unknown["rate"]) == ("1", "")


def test_a_reason_leaves_small_groups_out(
    config: Config, database: Database, tmp_path: Path
) -> None:
    rows = ["email,sex", "x@example.com,X"]
    hear(database, person("X"), 5.0, "selected")
    for number in range(60):
        hear(database, person(f"N{number}"), float(1 + number % 4), "selected" * (number % 2))
        rows.append(f"n{number}@example.com,N")
    file = tmp_path / "groups.csv"
    file.write_text("\n".join(rows))
    kept = groups_of(report(config, file)["selection"], "sex")
    assert (kept["X"]["impact_ratio"], kept["N"]["below_four_fifths"]) == (1.0, True)
    assert kept["X"]["under_two_percent"]
    found = report(config, file, "--leave-out-small", "One person says nothing.")
    left = groups_of(found["selection"], "sex")
    assert (left["X"]["impact_ratio"], left["N"]["impact_ratio"]) == (None, 1.0)
    assert left["X"]["applicants"] == 1
    assert found["left_out_because"] == "One person says nothing."
    assert any("One person says nothing." in note for note in found["notes"])
    done = impact(config, file, "--leave-out-small", " ")
    assert (done.returncode, done.stdout) == (1, "")


# The page.


@pytest.fixture
def page(config: Config, database: Database, tmp_path: Path) -> str:
    hear(database, person("A"), 4.0, "selected")
    hear(database, person("B"), 2.0)
    text = HOSTILE.replace('"', '""')
    file = tmp_path / "groups.csv"
    file.write_text(f'email,sex,race\na@example.com,"{text}",W\nb@example.com,Male,"{text}"\n')
    done = impact(config, file, "--format", "html")
    assert (done.returncode, done.stderr) == (0, "")
    return str(done.stdout)


def test_the_page_stands_alone_and_runs_nothing(page: str) -> None:
    read = Html(page)
    tags = {tag for tag, _ in read.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "form", "a"}
    assert {"svg", "rect", "table"} <= tags
    for _, given in read.elements:
        assert not {"src", "href", "style", "onload", "onerror"} & set(given)
    assert "default-src 'none'" in page
    assert HOSTILE in read.words


def test_the_chart_has_a_bar_for_each_group_and_a_line_at_four_fifths(page: str) -> None:
    read = Html(page)
    bars = [given for tag, given in read.elements if tag == "rect"]
    # Two of each kind, in three comparisons of both figures.
    assert len(bars) == 2 * 3 * 2
    assert {given["width"] for given in bars} == {"380.0", "0.0"}
    assert [given["class"] for given in bars if given["width"] == "0.0"] == ["bar below"] * 6
    lines = [given for tag, given in read.elements if tag == "line"]
    assert {given["x1"] for given in lines} == {str(260 + 0.8 * 380)}
    pictures = [given for tag, given in read.elements if tag == "svg"]
    assert all(given["role"] == "img" and given["aria-label"] for given in pictures)


# What goes wrong.


def test_what_cannot_be_computed_is_said_in_a_sentence(
    config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    hear(database, person("A"), is_finished=False, is_scored=False)
    done = impact(config, file)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: Nobody has finished an interview under job-1.\n"
    bad = tmp_path / "bad.csv"
    bad.write_text("name\nAna\n")
    done = impact(config, bad)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The first line names no column of addresses")
    assert impact(config, tmp_path / "nothing.csv").returncode == 2


def test_nothing_of_the_file_is_stored(
    config: Config, sample: Database, file: Path, database_path: Path
) -> None:
    file.write_text("email,sex,race\na@example.com,Kept-nowhere,Kept-nowhere-either\n")
    assert impact(config, file, "--format", "html").returncode == 0
    for path in database_path.parent.iterdir():
        assert b"Kept-nowhere" not in path.read_bytes()


def test_other_commands_do_not_load_it() -> None:
    code = (
        "import sys; import commands.__main__;"
        " print([name for name in sys.modules if name.startswith('records.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=APP_FOLDER, capture_output=True, check=True, text=True
    )
    assert done.stdout == "[]\n"
