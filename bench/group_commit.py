"""Replies on a disk whose syncs take 5 ms, with group commit and without."""

import shutil
import subprocess
from pathlib import Path

from bench.harness import Bench, Figures, load_in_turn, ms
from bench.servers import PROJECT

SYNC = 0.005  # seconds that each sync takes longer

# A reply commits the applicant's message before the model is asked, and then the answer.
COMMITS = 2


def on_slow_disk(bench: Bench) -> None:
    """Take replies/s of 16 and of 100 at once, and of 100 streams."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        bench.notes.append("There is no C compiler: nothing was measured on a slow disk.")
        return
    preloaded = str(slow_sync(compiler, bench.folder))
    upstream = bench.rehearsal()
    servers = {
        "shared": bench.ours("shared", upstream, LD_PRELOAD=preloaded),
        "single": bench.ours(
            "single-writer",
            upstream,
            app="bench.without_group_commit:app",
            LD_PRELOAD=preloaded,
        ),
    }
    for connections in (16, 100):
        figures = load_in_turn(servers, connections, each=5, seconds=3, rounds=3)
        add_row(bench, f"replies/s at {connections} at once", figures)
    figures = load_in_turn(servers, 101, each=5, seconds=3, rounds=3, stream=True)
    add_row(bench, "streamed replies/s at 101 at once", figures)


def slow_sync(compiler: str, folder: Path) -> Path:
    """Compile what makes syncs slow, and return the library."""
    library = folder / "slow_sync.so"
    microseconds = f"-DSYNC_MICROSECONDS={SYNC * 1_000_000:.0f}"
    source = PROJECT / "bench" / "slow_sync.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", microseconds, "-o", library, source], check=True
    )
    return library


def add_row(bench: Bench, measure: str, figures: dict[str, Figures]) -> None:
    """Compare group commit with a commit for each writer."""
    shared, single = figures["shared"], figures["single"]
    ratio = shared.rate / single.rate
    bench.row(
        f"{measure}, each sync {ms(SYNC)} slower",
        f"a commit for each writer {single.rate:.0f}/s, of {1 / (COMMITS * SYNC):.0f}/s at most",
        f"{shared.rate:.0f}/s, {ratio:.2f} x, p95 {ms(shared.p95)}",
        ">= 2 x",
        "",
        is_met=ratio >= 2,
    )
