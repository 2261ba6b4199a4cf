"""Scorecards: the processor time they take, replies while they are made, and comparing many.

Run as a module, it prints the seconds of processor time that the bare OpenAI client takes for the
calls of a scorecard.
"""

import http.client
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion

from bench.applicants import TURN
from bench.harness import ROUNDS, Bench, begin_load, end_load, in_turn, load, ms
from bench.seeding import seed
from bench.servers import PROJECT, Server
from db import InterviewKey
from interviews.history import TranscriptMessage
from scorecards.asking import SCHEMA, SCHEMA_NAME, messages_for, shown

MESSAGES = 40
CRITERIA = 5
CALLS = 3 * CRITERIA

# Scorecards that are asked for together.
AT_ONCE = 8

# Seconds that the model takes for a reply or a rating, so that scoring outlasts the load: both
# processes together have eight calls under way, and so need fifteen times as long.
DELAY = 0.4
LOAD = 3.0

RUBRIC = {
    "criteria": [
        {
            "id": f"criterion_{number}",
            "title": f"Criterion {number}",
            "definition": "What the applicant says about it. " * 5,
            "anchors": {step: f"What {step} sounds like. " * 5 for step in ("1", "3", "5")},
        }
        for number in range(CRITERIA)
    ]
}


def processor_time(bench: Bench) -> None:
    """Compare the processor time of a scorecard with that of the bare client's calls."""
    upstream = bench.rehearsal()
    recruiter = Recruiter(bench, "scored", upstream)
    recruiter.have_scored(AT_ONCE)
    ours, bare = [], []
    for _ in range(ROUNDS):
        before = recruiter.server.cpu()
        recruiter.have_scored(AT_ONCE)
        ours.append((recruiter.server.cpu() - before) / AT_ONCE)
        command = [sys.executable, "-m", "bench.scorecards", upstream]
        printed = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True)
        bare.append(float(printed.stdout))
    floor = statistics.median(bare)
    ratio = statistics.median(ours) / floor
    bench.row(
        f"processor time of a scorecard, {CRITERIA} criteria x 3 runs, {MESSAGES} messages",
        f"the bare client's {CALLS} calls {ms(floor)}",
        f"{ms(statistics.median(ours))}, {ratio:.2f} x",
        "<= 2 x",
        "1.5 x",
        is_met=ratio <= 2,
    )


def replies_meanwhile(bench: Bench) -> None:
    """Compare the slowest replies while scorecards are made with those at other times."""
    upstream = bench.rehearsal("--delay", str(DELAY))
    recruiter = Recruiter(bench, "meanwhile", upstream)
    load(recruiter.server, "meanwhile", 16, each=10, start=True)
    p95: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for is_scoring, taken in p95.items():
            if is_scoring:
                recruiter.ask(AT_ONCE)
            begun = begin_load(recruiter.server, "meanwhile", 16, each=10, seconds=LOAD)
            result = end_load(begun)
            assert not result["errors"]
            assert (recruiter.pending() > 0) == is_scoring, "the load must lie within the scoring"
            taken.append(result["p95"])
            recruiter.wait()
    alone, meanwhile = (statistics.median(taken) for taken in p95.values())
    ratio = meanwhile / alone
    bench.row(
        f"p95 of replies at 16 at once while {AT_ONCE} scorecards are made, model takes {DELAY} s",
        f"while none is made {ms(alone)}",
        f"{ms(meanwhile)}, {ratio:.2f} x",
        "<= 1.2 x",
        "1.1 x",
        is_met=ratio <= 1.2,
    )


def comparison(bench: Bench) -> None:
    """Compare the comparison of 10,000 applicants with only serialising it."""
    recruiter = Recruiter(bench, "compared", bench.rehearsal(), interviews=10_000)
    recruiter.have_scored(1)
    recruiter.copy_scorecard()
    body = json.loads(recruiter.compare())
    assert len(body["scorecards"]) == 10_000
    assert all(row["total"] is not None for row in body["scorecards"])

    def serialise() -> str:
        return json.dumps(body, ensure_ascii=False)

    medians = in_turn({"ours": recruiter.compare, "serialising": serialise}, 5)
    ratio = medians["ours"] / medians["serialising"]
    bench.row(
        "get_scorecards for 10,000 applicants",
        f"only serialising {ms(medians['serialising'])}",
        f"{ms(medians['ours'])}, {ratio:.2f} x",
        "<= 3 x",
        "2 x",
        is_met=ratio <= 3,
    )


class Recruiter:
    """The service with finished interviews, and a recruiter who has them scored."""

    def __init__(self, bench: Bench, name: str, upstream: str, interviews: int = AT_ONCE) -> None:
        self.path: Path = bench.folder / f"{name}.db"
        seed(self.path, "scored", interviews, MESSAGES, finished=True)
        self.server: Server = bench.ours(name, upstream)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        position = {"title": "Nurse", "prompt": "You interview.", "rubric": RUBRIC}
        self._send("PUT", "/positions/seeded", position, 200)

    def have_scored(self, number: int) -> None:
        """Ask for the scorecards of so many interviews, and wait for them."""
        self.ask(number)
        self.wait()

    def ask(self, number: int) -> None:
        """Ask for a further scorecard of each of so many interviews."""
        for interview in range(number):
            key = {"accessKey": "seeded", "name": f"scored {interview}", "email": "a@example.com"}
            self._send("POST", "/score_interview", {**key, "again": True}, 202)

    def wait(self) -> None:
        """Wait until no scorecard is pending, without a request to the service."""
        give_up = time.monotonic() + 120
        while self.pending():
            assert time.monotonic() < give_up
            time.sleep(0.02)
        assert not self._count("failed")

    def pending(self) -> int:
        """Return how many scorecards are being made."""
        return self._count("pending")

    def compare(self) -> bytes:
        """Return the comparison of all applicants, in JSON."""
        return self._send("GET", "/get_scorecards/seeded", None, 200)

    def copy_scorecard(self) -> None:
        """Give every applicant the scorecard that one has."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            (number,) = connection.execute("SELECT COUNT(DISTINCT name) FROM messages").fetchone()
            (columns,) = connection.execute(
                "SELECT group_concat(name) FROM pragma_table_info('scorecards')"
                " WHERE name NOT IN ('number', 'id', 'interview', 'name')"
            ).fetchone()
            keys = [
                InterviewKey("seeded", f"scored {interview}", "a@example.com")
                for interview in range(1, number)
            ]
            connection.executemany(
                f"INSERT INTO scorecards (id, interview, name, {columns})"
                f" SELECT ?, ?, ?, {columns} FROM scorecards WHERE name = 'scored 0'",
                [(key.digest()[:32], key.digest(), key.name) for key in keys],
            )
            connection.commit()
        # That took a while, after which the service may have closed it; a request opens it again.
        self._connection.close()

    def _count(self, state: str) -> int:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            query = "SELECT COUNT(*) FROM scorecards WHERE state = ?"
            count: int = connection.execute(query, (state,)).fetchone()[0]
            return count

    def _send(self, method: str, path: str, body: Any, status: int) -> bytes:
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == status, content
        return content


def bare_rating(upstream: str) -> Callable[[int], object]:
    """Return a call that asks for the rating of a criterion."""
    client = OpenAI(api_key="bench", base_url=upstream)
    transcript = shown(
        [
            TranscriptMessage(number, TURN, "", "user" if number % 2 else "system")
            for number in range(1, MESSAGES)
        ],
        InterviewKey("seeded", "scored 0", "a@example.com"),
    )
    schema = {"name": SCHEMA_NAME, "strict": True, "schema": SCHEMA}

    def call(number: int) -> object:
        criterion = RUBRIC["criteria"][number % CRITERIA]
        body = {
            "model": "gpt-4o-mini",
            "messages": messages_for(criterion, transcript),
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        return client.post("/chat/completions", cast_to=ChatCompletion, body=body)

    return call


def main() -> None:
    """Ask the server at the URL that is the one argument, as many calls at once as the service."""
    call = bare_rating(sys.argv[1])
    call(0)
    with ThreadPoolExecutor(4) as pool:
        began = time.process_time()
        list(pool.map(call, range(AT_ONCE * CALLS)))
        print((time.process_time() - began) / AT_ONCE)


if __name__ == "__main__":
    main()
