"""Measures the service against the bare OpenAI client and against a plain FastAPI service.

Every figure is a ratio within this run, from medians of several rounds in which the systems take
turns. Prints a table and, if everything was measured, writes it to RESULTS.md.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

# The project's folder in the place of this one, whose modules are called like some of its packages.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import (
    group_commit,
    knee,
    no_storage,
    on_postgresql,
    pages,
    replies,
    scorecards,
    storage,
    streams,
    trail,
)
from bench.harness import Bench, measured_folder
from bench.servers import PROJECT

MEASURES: dict[str, list[Callable[[Bench], None]]] = {
    "replies": [replies.one_at_a_time, replies.sixteen_at_once, replies.two_hundred_at_once],
    "no_storage": [no_storage.sixteen_at_once],
    "knee": [knee.knee],
    "streams": [streams.first_words, streams.two_hundred_at_once],
    "storage": [storage.long_history, storage.large_file, storage.many_applicants],
    "group_commit": [group_commit.on_slow_disk],
    "scorecards": [
        scorecards.processor_time,
        scorecards.replies_meanwhile,
        scorecards.comparison,
    ],
    "pages": [pages.first_load, pages.processor_time, pages.many_applicants],
    "trail": [trail.replies_and_starts, trail.verification],
    "postgresql": [on_postgresql.measure],
}


def report(bench: Bench) -> str:
    """Return the results as they stand in RESULTS.md."""
    packages = ("flask", "gunicorn", "openai", "httpx2", "fastapi", "uvicorn", "aiosqlite")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# Results",
        "",
        "Made by `make bench`; nothing here is written by hand.",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, {platform.machine()}",
        f"- Python {platform.python_version()}, {versions}",
        "- Upstream, load and service on the same machine; every commit of ours synced"
        " (`synchronous=FULL`). Medians of rounds in which the compared systems take turns.",
        *(f"- {note}" for note in bench.notes),
        "",
        "| measure | compared with | ours | must | aim | must is met |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {' | '.join(cells)} | {'yes' if is_met else '**no**'} |"
            for *cells, is_met in bench.rows
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, or what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "measures", nargs="*", help=f"only some: {', '.join(MEASURES)}; RESULTS.md stays as it is"
    )
    chosen = parser.parse_args().measures or list(MEASURES)
    if unknown := [name for name in chosen if name not in MEASURES]:
        parser.error(f"there is no {', '.join(unknown)}; there is {', '.join(MEASURES)}")

    with measured_folder() as folder:
        bench = Bench(folder)
        for name in chosen:
            for measure in MEASURES[name]:
                try:
                    measure(bench)
                finally:
                    bench.stop_servers()
    text = report(bench)
    if set(chosen) == set(MEASURES):
        (PROJECT / "bench" / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
