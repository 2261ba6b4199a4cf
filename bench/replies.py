"""Replies as a whole: one at a time, 16 at once and 200 at once."""

import statistics
import time

from bench.applicants import SingleApplicants
from bench.bare_client import bare_reply
from bench.harness import Bench, begin_load, end_load, in_turn, load, load_in_turn, ms


def one_at_a_time(bench: Bench) -> None:
    """Take the median of single replies: floor, ours and FastAPI's in turn."""
    upstream = bench.rehearsal()
    medians = in_turn(
        {
            "floor": bare_reply(upstream),
            "ours": SingleApplicants(bench.ours("single", upstream).port).reply,
            "fastapi": SingleApplicants(bench.fastapi("single", upstream).port).reply,
        },
        100,
    )
    ratio = medians["ours"] / medians["floor"]
    bench.row(
        "one reply, model without delay, median",
        f"floor {ms(medians['floor'])}, FastAPI {ms(medians['fastapi'])} "
        f"({medians['fastapi'] / medians['floor']:.2f} x)",
        f"{ms(medians['ours'])}, {ratio:.2f} x floor",
        "<= 3.8 x",
        "2.8 x",
        is_met=ratio <= 3.8,
    )


def sixteen_at_once(bench: Bench) -> None:
    """Compare throughput, and processor time a reply, at 16 at once."""
    upstream = bench.rehearsal()
    figures = load_in_turn(
        {"ours": bench.ours("sixteen", upstream), "fastapi": bench.fastapi("sixteen", upstream)},
        16,
        each=25,
        seconds=4,
    )
    ours, fastapi = figures["ours"], figures["fastapi"]
    ratio = ours.rate / fastapi.rate
    bench.row(
        "replies/s at 16 at once, model without delay",
        f"FastAPI {fastapi.rate:.0f}/s, p95 {ms(fastapi.p95)}",
        f"{ours.rate:.0f}/s, {ratio:.2f} x FastAPI, p95 {ms(ours.p95)}",
        ">= 1.5 x, p95 <= 100 ms",
        "2 x",
        is_met=ratio >= 1.5 and ours.p95 <= 0.1,
    )
    ratio = ours.cpu / fastapi.cpu
    bench.row(
        "processor time of the service a reply",
        f"FastAPI {ms(fastapi.cpu)}",
        f"{ms(ours.cpu)}, {ratio:.2f} x FastAPI",
        "<= 0.6 x",
        "0.4 x",
        is_met=ratio <= 0.6,
    )
    bench.notes.append(f"At 16 at once the load took {ours.load_share:.0%} of the two cores.")


def two_hundred_at_once(bench: Bench) -> None:
    """Take the slowest replies, and the memory, of 200 applicants whose model takes a second."""
    upstream = bench.rehearsal("--delay", "1")
    servers = {"ours": bench.ours("many", upstream), "fastapi": bench.fastapi("many", upstream)}
    idle = servers["ours"].memory()
    for server in servers.values():
        load(server, "many", 200, each=1, start=True)
    rates: dict[str, list[float]] = {name: [] for name in servers}
    p95: dict[str, list[float]] = {name: [] for name in servers}
    busy, share, errors = [], [], 0
    for _ in range(3):
        for name, server in servers.items():
            begun = begin_load(server, "many", 200, each=1, seconds=8)
            if name == "ours":
                time.sleep(4)
                busy.append(server.memory())
            result = end_load(begun)
            rates[name].append(result["replies"] / result["seconds"])
            p95[name].append(result["p95"])
            share.append(result["cpu"] / result["seconds"] / 2)
            if name == "ours":
                errors += result["errors"]
    rate = {name: statistics.median(values) for name, values in rates.items()}
    tail = {name: statistics.median(values) for name, values in p95.items()}
    bench.row(
        "200 applicants at once, model takes 1 s",
        f"FastAPI p95 {tail['fastapi']:.2f} s, {rate['fastapi']:.0f}/s",
        f"p95 {tail['ours']:.2f} s, {rate['ours']:.0f}/s, {errors} errors",
        "p95 <= 1.5 s, no error",
        "p95 <= 1.25 s",
        is_met=tail["ours"] <= 1.5 and not errors,
    )
    under_way = statistics.median(busy)
    bench.row(
        "memory of all processes, idle / 200 replies under way",
        "",
        f"{idle:.0f} / {under_way:.0f} MB",
        "<= 125 / 175 MB",
        "100 / 140 MB",
        is_met=idle <= 125 and under_way <= 175,
    )
    bench.notes.append(
        f"At 200 at once the load took {statistics.median(share):.0%} of the two cores."
    )
