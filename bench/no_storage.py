"""The service against the same Flask, gunicorn and OpenAI client without storage."""

import sys

from bench.harness import Bench, load_in_turn, ms
from bench.servers import Server, free_port


def sixteen_at_once(bench: Bench) -> None:
    """Compare processor time a reply and replies/s, in short rounds, as machines drift."""
    upstream = bench.rehearsal()
    servers = {
        "ours": bench.ours("with-storage", upstream),
        "limit": without_storage(bench, upstream),
    }
    figures = load_in_turn(servers, 16, each=100, seconds=2.5, rounds=8)
    ours, limit = figures["ours"], figures["limit"]
    ratio = ours.cpu / limit.cpu
    bench.row(
        "processor time of the service a reply, against this stack without storage",
        f"without storage {ms(limit.cpu)}",
        f"{ms(ours.cpu)}, {ratio:.2f} x",
        "<= 1.35 x",
        "",
        is_met=ratio <= 1.35,
    )
    ratio = ours.rate / limit.rate
    bench.row(
        "replies/s at 16 at once, against this stack without storage",
        f"without storage {limit.rate:.0f}/s, p95 {ms(limit.p95)}",
        f"{ours.rate:.0f}/s, {ratio:.2f} x, p95 {ms(ours.p95)}",
        ">= 0.8 x",
        "",
        is_met=ratio >= 0.8,
    )


def without_storage(bench: Bench, upstream: str) -> Server:
    """Start the service without storage, as gunicorn.conf.py has gunicorn serve ours."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "bench.no_storage_service:app"]
    command += ["--config", "python:bench.no_storage_gunicorn", "--bind", f"127.0.0.1:{port}"]
    return bench.serve(command, port, OPENAI_BASE_URL=upstream)
