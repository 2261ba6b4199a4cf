"""The figures of `GET /metrics`, in Prometheus' format.

With several processes each keeps its own in a folder that gunicorn.conf.py makes, and whichever is
asked adds them up.
"""

import os
from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    multiprocess,
)
from prometheus_client import Histogram as _Histogram

# Seconds: our own part of a request is a few milliseconds, a model's answer takes seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 90)

REQUESTS = Counter("tukma_requests", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = _Histogram(
    "tukma_request_seconds", "Time to answer a request", ["method", "route"], buckets=_BUCKETS
)
WAITING_SECONDS = _Histogram(
    "tukma_waiting_seconds",
    "Part of it that was spent waiting for the model",
    ["method", "route"],
    buckets=_BUCKETS,
)
MODEL_FAILURES = Counter("tukma_model_failures", "Calls without a whole answer", ["kind"])
TOKENS = Counter(
    "tukma_tokens", "Tokens, by direction: in is what the model read", ["model", "direction"]
)
UNDER_WAY = Gauge(
    "tukma_turns_under_way",
    "Starts and replies under way",
    multiprocess_mode="livesum",
)


def register_metrics(app: Flask, open_to: Callable[[Callable[[], Response]], Any]) -> None:
    """Add `GET /metrics`, open to whom the decorator declares."""
    app.add_url_rule("/metrics", view_func=open_to(_metrics))


def _metrics() -> Response:
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
