"""The knee: the highest rate of replies at which the service itself still keeps nobody waiting.

Replies are sent on a schedule, whether or not those before have been answered; a latency counts
from when its reply was due. So a service that falls behind cannot slow down its own load.

What the load and the service took of the processor at the knee, and how late the load itself was,
is noted with the result: where the cores are busy with something else, the knee is the machine's.
"""

import sys
from math import inf, sqrt

from bench.harness import Bench, begin_load, end_load, load, ms
from bench.servers import Server
from config import Config

MODEL = 1.0  # seconds that the model takes
DELAY = 0.25  # seconds that the service may add, for 95 of 100 replies

# The search begins at `FIRST` replies a second, goes up or down by `STRIDE` until one rate is kept
# and one is not, and ends when they are no further apart than `PRECISION`.
FIRST = 120.0
STRIDE = 1.6
PRECISION = 1.12

STEP = 5.0  # seconds of load at each rate

# Connections of the starts, and applicants of each: so many that nobody replies again too soon.
CONNECTIONS, EACH = 250, 8


class Search:
    """The highest rate that a service keeps, approached step by step."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rate = FIRST
        self.kept = 0.0
        self._missed = inf
        self._is_second_try = False
        self.load_share = 0.0
        self.own_share = 0.0
        self.late = 0.0

    @property
    def is_over(self) -> bool:
        """True once the rate is found."""
        return self._missed <= self.kept * PRECISION or self._missed < 1

    def step(self) -> None:
        """Try a rate, once more if it is not kept: others may have used the machine."""
        before = self._server.cpu()
        result = load(self._server, "knee", CONNECTIONS, each=EACH, seconds=STEP, rate=self._rate)
        delay = result["p95"] - MODEL
        print(
            f"  {self._rate:.0f}/s: {ms(delay)}, {result['errors']} errors,"
            f" sent {ms(result['late'])} late",
            file=sys.stderr,
        )
        if not result["errors"] and delay <= DELAY:
            self.kept = self._rate
            self.load_share = result["cpu"] / result["seconds"] / 2
            self.own_share = (self._server.cpu() - before) / result["seconds"] / 2
            self.late = result["late"]
        elif not self._is_second_try:
            self._is_second_try = True
            return
        else:
            self._missed = self._rate
        self._is_second_try = False
        self._rate = self._next()

    def _next(self) -> float:
        if self._missed == inf:
            return self.kept * STRIDE
        if not self.kept:
            return self._missed / STRIDE
        return sqrt(self.kept * self._missed)


def knee(bench: Bench) -> None:
    """Compare the rates that ours and FastAPI's keep, in steps that take turns."""
    upstream = bench.rehearsal("--delay", str(MODEL))
    servers = {"ours": bench.ours("knee", upstream), "fastapi": bench.fastapi("knee", upstream)}
    begun = [
        begin_load(server, "knee", CONNECTIONS, each=EACH, start=True)
        for server in servers.values()
    ]
    for starts in begun:
        end_load(starts)
    searches = {name: Search(server) for name, server in servers.items()}
    while under_way := [search for search in searches.values() if not search.is_over]:
        for search in under_way:
            search.step()
    ours, fastapi = searches["ours"], searches["fastapi"]
    ratio = ours.kept / fastapi.kept
    bench.row(
        f"replies/s that the service delays by at most {ms(DELAY)} (p95), model takes 1 s",
        f"FastAPI {fastapi.kept:.0f} replies/s",
        f"{ours.kept:.0f} replies/s, {ratio:.2f} x FastAPI",
        ">= 2 x",
        "",
        is_met=ratio >= 2,
    )
    for name, search in (("ours", ours), ("FastAPI", fastapi)):
        bench.notes.append(
            f"At the knee of {name}, of the two cores the service took {search.own_share:.0%} and"
            f" the load {search.load_share:.0%}, which sent replies {ms(search.late)} late (p95)."
        )
    places = Config.web_concurrency * Config.max_model_calls
    bench.notes.append(f"Ours refuses more than {places} replies in progress, by its settings.")
