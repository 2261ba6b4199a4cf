"""Pages: what a browser loads for the applicant's room, and the processor time that pages take."""

import http.client
import re
import sqlite3
from contextlib import closing
from urllib.parse import urljoin

from bench.harness import Bench, ms
from bench.scorecards import Recruiter
from db import InterviewKey

# Applicants of an ordinary position, and of a large one.
FEW, MANY = 50, 10_000

# Loads of each page whose processor time is measured together; it is counted in steps of 10 ms.
LOADS = 100

POSITION = "/board/positions/seeded"

# What the applicants' page is asked for.
LISTS = (
    *("", "?page=200", "?sort=name", "?sort=total", "?q=nobody"),
    *("?state=finished", "?state=unscored", "?state=scored", "?state=needs_review"),
    *("?decision=selected", "?decision=undecided"),
    "?state=scored&decision=selected&sort=name",
)


def first_load(bench: Bench) -> None:
    """Count the requests that open the room, and the bytes that answer them."""
    server = bench.ours("room", bench.rehearsal())
    with closing(Browser(server.port)) as browser:
        page = browser.load("/interview")
        waiting = re.findall(r'<(?:link rel="stylesheet" href|script[^>]* src)="([^"]+)"', page)
        loaded = {"/interview"}
        for url in waiting:
            path = urljoin("/interview", url)
            if path not in loaded:
                loaded.add(path)
                # A script that is imported at once; others are loaded once the interview begins.
                imported = re.findall(r"""^import .*["'](\./[^"']+)""", browser.load(path), re.M)
                waiting += [urljoin(path, name) for name in imported]
        # The room then asks whose link it is.
        requests, kilobytes = len(loaded) + 1, browser.bytes / 1000
    bench.row(
        "the room's first load",
        "",
        f"{requests} requests, {kilobytes:.0f} kB",
        "<= 4 requests, 100 kB",
        "",
        is_met=requests <= 4 and kilobytes <= 100,
    )


def processor_time(bench: Bench) -> None:
    """Measure the processor time that each page takes, with as many applicants as is usual."""
    recruiter = Recruiter(bench, "pages", bench.rehearsal(), interviews=FEW)
    recruiter.have_scored(1)
    recruiter.copy_scorecard()
    with closing(Browser(recruiter.server.port)) as browser:
        numbers = re.findall(r'name="i" value="(\d+)"', browser.load(POSITION))
        compared = "&".join(f"i={number}" for number in numbers[:4])
        taken = {
            path: _taken(recruiter, browser, path)
            for path in (
                *("/interview", "/board", "/board/new_position", "/board/version"),
                *(POSITION, f"{POSITION}/edit", f"{POSITION}/invite", f"{POSITION}/overview"),
                f"{POSITION}/trail",
                *(f"{POSITION}/compare?{compared}", f"/board/interviews/{numbers[-1]}"),
            )
        }
    slowest = max(taken, key=lambda path: taken[path])
    bench.row(
        f"processor time of a page, {FEW} applicants of 40 messages each",
        f"the room {ms(taken['/interview'])}",
        f"{ms(max(taken.values()))} at most, of {slowest.partition('?')[0]}",
        "<= 10 ms",
        "",
        is_met=max(taken.values()) <= 0.01,
    )


def many_applicants(bench: Bench) -> None:
    """Measure the applicants' page of a position with very many, however it is filtered."""
    recruiter = Recruiter(bench, "many", bench.rehearsal(), interviews=MANY)
    recruiter.have_scored(1)
    recruiter.copy_scorecard()
    _decide(recruiter)
    with closing(Browser(recruiter.server.port)) as browser:
        taken = {query: _taken(recruiter, browser, POSITION + query) for query in LISTS}
    slowest = max(taken, key=lambda query: taken[query])
    bench.row(
        f"processor time of the applicants' page, {MANY:,} applicants",
        "",
        f"{ms(taken[''])}; filtered {ms(taken[slowest])} at most, by `{slowest}`",
        "<= 50 ms",
        "",
        is_met=max(taken.values()) <= 0.05,
    )


class Browser:
    """A connection on which pages are loaded."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.bytes = 0
        """Of all bodies."""

    def load(self, path: str) -> str:
        """Return what is answered."""
        self._connection.request("GET", path, headers={"Accept": "text/html"})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status in (200, 204), (path, answer.status)
        self.bytes += len(body)
        return body.decode()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _taken(recruiter: Recruiter, browser: Browser, path: str) -> float:
    """Return the seconds of processor time that the service takes for a page."""
    for _ in range(10):
        browser.load(path)
    before = recruiter.server.cpu()
    for _ in range(LOADS):
        browser.load(path)
    return (recruiter.server.cpu() - before) / LOADS


def _decide(recruiter: Recruiter) -> None:
    """Store a decision about each applicant."""
    with closing(sqlite3.connect(recruiter.path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        rows = connection.execute("SELECT position, access_key, name, email FROM scorecards")
        decisions = [
            (InterviewKey(*key).digest(), position, *key, ("selected", "rejected")[number % 2])
            for number, (position, *key) in enumerate(rows.fetchall())
        ]
        connection.executemany(
            "INSERT INTO decisions (interview, position, access_key, name, email, decision, reason,"
            " reviewer, created_at) VALUES (?, ?, ?, ?, ?, ?, 'Seen.', 'B. Okafor',"
            " '2026-01-02 12:00:00.000000')",
            decisions,
        )
        connection.commit()
