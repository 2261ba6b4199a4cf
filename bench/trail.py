"""The audit trail: what replies and starts pay for it, and how long its verification takes."""

import os
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing

from bench.harness import ROUNDS, Bench, load, load_in_turn, ms
from bench.seeding import bench_config
from bench.servers import PROJECT
from db import open_database, position_digest
from records.audit_chain import hash_of
from records.audit_queries import NO_HASH, Event

EVENTS = 50_000

# Starts of a round, by so many at once.
STARTS, AT_ONCE = 400, 16


def replies_and_starts(bench: Bench) -> None:
    """Compare the processor time of replies and of starts with that of the same without a trail."""
    upstream = bench.rehearsal()
    servers = {
        "ours": bench.ours("trail", upstream),
        "without": bench.ours("no-trail", upstream, app="bench.without_trail:app"),
    }
    figures = load_in_turn(servers, 16, each=100, seconds=2.5, rounds=8)
    ratio = figures["ours"].cpu / figures["without"].cpu
    bench.row(
        "processor time of a reply, with the audit trail",
        f"without it {ms(figures['without'].cpu)}",
        f"{ms(figures['ours'].cpu)}, {ratio:.2f} x",
        "<= 1.05 x",
        "",
        is_met=ratio <= 1.05,
    )
    taken: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(ROUNDS):
        for name, server in servers.items():
            before = server.cpu()
            label = f"start {number}"
            begun = load(server, label, AT_ONCE, each=STARTS // AT_ONCE, start=True)
            assert not begun["errors"]
            taken[name].append((server.cpu() - before) / STARTS)
    ours, without = (statistics.median(times) for times in taken.values())
    bench.row(
        "processor time of a start, with its event",
        f"without it {ms(without)}",
        f"{ms(ours)}, {ours / without:.2f} x",
        "<= 1.25 x",
        "",
        is_met=ours / without <= 1.25,
    )


def verification(bench: Bench) -> None:
    """Verify a long chain from the command line, and take its time and its memory."""
    path = bench.folder / "verified.db"
    open_database(bench_config(path)).close()
    position, rows, previous = position_digest("seeded"), [], NO_HASH
    texts = ("2026-01-01T00:00:00.000000Z", "key 00000000", "transcript.read", "f" * 64, "")
    for number in range(1, EVENTS + 1):
        event = Event(number, position, *texts, number, None)
        previous = hash_of(event, previous)
        rows.append(event._replace(hash=previous))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(f"INSERT INTO audit_events VALUES ({'?, ' * 8}?)", rows)
        connection.execute("INSERT INTO audit_heads VALUES (?, ?, ?)", (position, EVENTS, previous))
    command = [sys.executable, "-m", "commands", "verify-audit"]
    environment = {"DATABASE_URL": f"sqlite:///{path}", "PATH": ""}

    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds, megabytes = time.perf_counter() - began, used.ru_maxrss / 1024
    assert status == 0
    bench.row(
        f"verification of a trail of {EVENTS:,} events, from the command line",
        "",
        f"{seconds:.1f} s, at most {megabytes:.0f} MB",
        "<= 10 s",
        "",
        is_met=seconds <= 10,
    )
