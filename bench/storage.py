"""Long interviews, large files and long lists against short and empty ones."""

import http.client
import json

from bench.applicants import SeededApplicants, SingleApplicants
from bench.harness import Bench, in_turn, ms
from bench.seeding import bench_config, seed
from db import Applicant, Messages, open_database


def long_history(bench: Bench) -> None:
    """Compare the same turn after 400 messages and after 20."""
    path = bench.folder / "history.db"
    seed(path, "short", interviews=60, messages=20)
    seed(path, "long", interviews=60, messages=400)
    port = bench.ours("history", bench.rehearsal()).port
    short = SeededApplicants(port, "short", 60)
    long = SeededApplicants(port, "long", 60)
    medians = in_turn({"short": short.reply, "long": long.reply}, 60)
    ratio = medians["long"] / medians["short"]
    bench.row(
        "the same turn with 400 messages of history against 20",
        f"20: {ms(medians['short'])}",
        f"400: {ms(medians['long'])}, {ratio:.2f} x",
        "<= 1.6 x",
        "1.2 x",
        is_met=ratio <= 1.6,
    )


def large_file(bench: Bench) -> None:
    """Compare the same turn in a file of a million messages and in an empty one."""
    seed(bench.folder / "large.db", "other", interviews=25_000, messages=40)
    upstream = bench.rehearsal()
    large = SingleApplicants(bench.ours("large", upstream).port)
    empty = SingleApplicants(bench.ours("empty", upstream).port)
    medians = in_turn({"empty": empty.reply, "large": large.reply}, 100)
    ratio = medians["large"] / medians["empty"]
    bench.row(
        "the same turn with 1,000,000 messages in the file against an empty one",
        f"empty: {ms(medians['empty'])}",
        f"1,000,000: {ms(medians['large'])}, {ratio:.2f} x",
        "<= 1.15 x",
        "1.05 x",
        is_met=ratio <= 1.15,
    )


def many_applicants(bench: Bench) -> None:
    """Compare listing 10,000 applicants with only serialising the answer."""
    path = bench.folder / "list.db"
    seed(path, "listed", interviews=10_000, messages=40)
    server = bench.ours("list", bench.rehearsal())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    database = open_database(bench_config(path))
    with database.reading() as session:
        applicants = Messages(session).applicants("seeded")
    assert len(applicants) == 10_000
    database.close()

    def listing() -> None:
        connection.request("GET", "/get_applicants/seeded")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200

    medians = in_turn({"ours": listing, "serialising": lambda: serialised(applicants)}, 20)
    ratio = medians["ours"] / medians["serialising"]
    bench.row(
        "get_applicants for 10,000 applicants of 40 messages each",
        f"only serialising {ms(medians['serialising'])}",
        f"{ms(medians['ours'])}, {ratio:.2f} x",
        "<= 3 x",
        "1.5 x",
        is_met=ratio <= 3,
    )


def serialised(applicants: list[Applicant]) -> bytes:
    """Return the list of applicants as the endpoint answers it."""
    listed = [
        {"name": name, "email": email, "is_finished": int(is_finished)}
        for name, email, is_finished in applicants
    ]
    return json.dumps({"status": "success", "applicants": listed}, ensure_ascii=False).encode()
