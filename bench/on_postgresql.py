"""PostgreSQL's cost: the measures on the server of TEST_DATABASE_URL."""

import os
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.applicants import SingleApplicants
from bench.harness import ROUNDS, Bench, begin_load, end_load, in_turn, load, ms
from bench.servers import PROJECT, TICKS, Server

sys.path.append(str(PROJECT / "tests"))

from proxy import Proxy
from schemas import fresh_schema


def measure(bench: Bench) -> None:
    """Compare PostgreSQL with SQLite in the same run, and count what a reply asks of it."""
    server = os.environ.get("TEST_DATABASE_URL")
    if server is None:
        bench.notes.append("TEST_DATABASE_URL is not set: nothing was measured on PostgreSQL.")
        return
    with ExitStack() as schemas:
        urls = [schemas.enter_context(fresh_schema(server)) for _ in range(3)]
        upstream = bench.rehearsal()
        one_at_a_time(bench, upstream, *urls[:2])
        sixteen_at_once(bench, upstream, urls[2])
        what_a_reply_costs(bench, upstream, urls[0])
        bench.stop_servers()  # before the schemas are dropped


def one_at_a_time(bench: Bench, upstream: str, url_of_one: str, url_of_two: str) -> None:
    """Take the median of single replies on PostgreSQL: of one instance, and of two in turn.

    An instance that works in turn with another finds less of its own in the processor's caches,
    whatever the database. So two instances are compared with two clients in turn on SQLite.
    """
    sqlite = bench.ours("beside", upstream).port
    one = bench.ours("one", upstream, DATABASE_URL=url_of_one).port
    two = [bench.ours("two", upstream, DATABASE_URL=url_of_two).port for _ in range(2)]
    medians = in_turn(
        {
            "sqlite": SingleApplicants(sqlite).reply,
            "sqlite, two clients": clients_in_turn([sqlite, sqlite]),
            "one": SingleApplicants(one).reply,
            "two": clients_in_turn(two),
        },
        100,
    )
    for_one = medians["one"] / medians["sqlite"]
    for_two = medians["two"] / medians["sqlite, two clients"]
    bench.row(
        "one reply on PostgreSQL, model without delay, median",
        f"SQLite {ms(medians['sqlite'])}; "
        f"two clients in turn on SQLite {ms(medians['sqlite, two clients'])}",
        f"one instance {ms(medians['one'])}, {for_one:.2f} x; "
        f"two in turn {ms(medians['two'])}, {for_two:.2f} x",
        "<= 1.6 x",
        "",
        is_met=max(for_one, for_two) <= 1.6,
    )


def clients_in_turn(ports: list[int]) -> Callable[[], object]:
    """Return a call that is another client's each time."""
    replies = cycle(
        [
            SingleApplicants(port, f"Of client {number}").reply
            for number, port in enumerate(ports, 1)
        ]
    )
    return lambda: next(replies)()


def sixteen_at_once(bench: Bench, upstream: str, url: str) -> None:
    """Take replies a second of SQLite, and of one and two instances on one PostgreSQL."""
    sqlite = bench.ours("beside-16", upstream)
    instances = [bench.ours("many", upstream, DATABASE_URL=url) for _ in range(2)]
    load(sqlite, "sixteen", 16, each=25, start=True)
    load(instances[0], "sixteen", 16, each=25, start=True)
    for instance, label in zip(instances, ("left", "right"), strict=True):
        load(instance, label, 8, each=25, start=True)
    rates: dict[str, list[float]] = {"sqlite": [], "one": [], "two": []}
    each = []
    for _ in range(ROUNDS):
        rates["sqlite"].append(rate(load(sqlite, "sixteen", 16, each=25, seconds=4)))
        before = cpu_of_postgresql()
        result = load(instances[0], "sixteen", 16, each=25, seconds=4)
        each.append((cpu_of_postgresql() - before) / result["replies"])
        rates["one"].append(rate(result))
        rates["two"].append(both_at_once(instances))
    median = {name: statistics.median(values) for name, values in rates.items()}
    bench.row(
        "replies/s at 16 at once on PostgreSQL, model without delay",
        f"SQLite {median['sqlite']:.0f}/s",
        f"one instance {median['one']:.0f}/s, two {median['two']:.0f}/s, "
        f"which share two cores with the server",
        "no error",
        "",
        is_met=True,
    )
    bench.row(
        "processor time of PostgreSQL a reply",
        "",
        ms(statistics.median(each)),
        "",
        "",
        is_met=True,
    )


def both_at_once(instances: list[Server]) -> float:
    """Return the replies a second of both together."""
    begun = [
        begin_load(instance, label, 8, each=25, seconds=4)
        for instance, label in zip(instances, ("left", "right"), strict=True)
    ]
    return sum(rate(end_load(one)) for one in begun)


def rate(result: dict[str, float]) -> float:
    """Return the replies a second; none may have failed."""
    assert not result["errors"]
    return result["replies"] / result["seconds"]


def what_a_reply_costs(bench: Bench, upstream: str, url: str) -> None:
    """Count what passes between the service and PostgreSQL, over many replies."""
    where = conninfo_to_dict(url)
    with Proxy(int(where.get("port") or 5432)) as proxy:
        through = make_conninfo(url, port=proxy.port, host="127.0.0.1")
        parts = conninfo_to_dict(through)
        host = f"{parts['user']}@127.0.0.1:{proxy.port}/{parts['dbname']}"
        options = str(parts["options"]).replace("=", "%3D").replace(" ", "%20")
        server = bench.ours("cost", upstream, DATABASE_URL=f"postgresql://{host}?options={options}")
        applicants = SingleApplicants(server.port, "Counted")
        for _ in range(15):  # within one interview; connections are open by then
            applicants.reply()
        before = proxy.seen()
        replies = 4
        for _ in range(replies):
            applicants.reply()
        cost = proxy.seen() - before
    statements, trips, commits = (
        cost[what] / replies for what in ("statements", "round trips", "commits")
    )
    bench.row(
        "what a reply asks of PostgreSQL",
        "",
        f"{statements:.1f} statements, {trips:.1f} round trips, {commits:.1f} commits",
        "<= 4 round trips, 2 commits",
        "",
        is_met=trips <= 4 and commits <= 2,
    )


def cpu_of_postgresql() -> float:
    """Return the seconds of processor time that the server's processes have taken so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # it has ended; whoever started it counts it from now on
            continue
        if name == "postgres":
            ticks += sum(int(field) for field in rest.split()[11:15])
    return ticks / TICKS
