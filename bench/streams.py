"""Streamed replies: the first words, and 200 at once."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.applicants import StreamingApplicants
from bench.bare_client import bare_stream
from bench.harness import ROUNDS, Bench, begin_load, end_load, in_turn, load, ms, us
from bench.servers import PROJECT, Server

# Of each of the 200 streams, and seconds from the first to the last.
PIECES = 40
STREAM = 2.0


def first_words(bench: Bench) -> None:
    """Take the median time to a stream's first words, and what the model takes of it."""
    upstream = bench.rehearsal("--pieces", "3", "--pace", "0.005")
    ours = StreamingApplicants(bench.ours("first", upstream).port)
    medians = in_turn(
        {"floor": bare_stream(upstream), "ours": ours.stream}, 60, timed=seconds_to_first_piece
    )
    added = medians["ours"] - medians["floor"]
    bench.row(
        "a stream's first words, model without delay, median",
        f"floor {ms(medians['floor'])}",
        f"{ms(medians['ours'])}, {ms(added)} more",
        "<= 4 ms more",
        "",
        is_met=added <= 0.004,
    )


def two_hundred_at_once(bench: Bench) -> None:
    """Compare 200 streams at once of 40 pieces over 2 s with the ideal, and with plain ones."""
    upstream = bench.rehearsal("--pieces", str(PIECES), "--pace", str(STREAM / (PIECES - 1)))
    server = bench.ours("streams", upstream)
    plain = bench.ours("plain", bench.rehearsal("--delay", str(STREAM)))
    bare, each, longest, going_on, streaming, replying = [], [], [], [], [], []
    errors = 0
    for number in range(ROUNDS):
        label = f"round {number}"
        bare.append(cpu_of_bare_piece(upstream))
        for started in (plain, server):
            load(started, label, 200, each=1, start=True)
        begun = begin_load(plain, label, 200, each=1)
        replying.append(memory_in_the_middle(plain))
        end_load(begun)
        before = server.cpu()
        begun = begin_load(server, label, 200, each=1, stream=True)
        streaming.append(memory_in_the_middle(server))
        result = end_load(begun)
        each.append((server.cpu() - before) / result["pieces"])
        longest.append(result["longest"])
        errors += result["errors"]
        result = load(server, label, 200, each=1, seconds=2 * STREAM, stream=True)
        going_on.append(result["longest"])
        errors += result["errors"]
    ratio = statistics.median(longest) / STREAM
    bench.row(
        f"200 streams at once, {PIECES} pieces over {STREAM:.0f} s",
        f"ideal {STREAM:.2f} s",
        f"all within {statistics.median(longest):.2f} s, {ratio:.2f} x, {errors} errors",
        "<= 1.25 x, no piece out of order",
        "",
        is_met=ratio <= 1.25 and not errors,
    )
    ratio = statistics.median(going_on) / STREAM
    bench.row(
        "the same, if each applicant whose stream ends begins the next one at once",
        f"ideal {STREAM:.2f} s",
        f"all within {statistics.median(going_on):.2f} s, {ratio:.2f} x",
        "no piece out of order",
        "",
        is_met=not errors,
    )
    ratio = statistics.median(each) / statistics.median(bare)
    bench.row(
        "processor time of the service a streamed piece",
        f"bare client {us(statistics.median(bare))}",
        f"{us(statistics.median(each))}, {ratio:.2f} x",
        "<= 3 x",
        "2 x",
        is_met=ratio <= 3,
    )
    streams, replies = statistics.median(streaming), statistics.median(replying)
    bench.row(
        "memory of all processes, 200 streams under way",
        f"200 plain replies {replies:.0f} MB",
        f"{streams:.0f} MB, {streams / replies:.2f} x",
        "<= 175 MB, as for plain ones",
        "1 x",
        is_met=streams <= 175,
    )


def seconds_to_first_piece(call: Callable[[], Iterator[object]]) -> float:
    """Return the seconds until a stream's first piece; the others are read as well."""
    began = time.perf_counter()
    pieces = call()
    next(pieces)
    taken = time.perf_counter() - began
    for _ in pieces:
        pass
    return taken


def cpu_of_bare_piece(upstream: str) -> float:
    """Return the seconds of processor time that the client by itself takes for a piece."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.bare_client", upstream],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    )
    return float(done.stdout)


def memory_in_the_middle(server: Server) -> float:
    """Return the megabytes of a server in the middle of the streams that have just begun."""
    time.sleep(STREAM * 0.75)
    return server.memory()
