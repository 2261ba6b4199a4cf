"""The figures of `GET /metrics`, in Prometheus' format.

Nothing is counted, and Prometheus' client is not loaded, until a process starts to count. With
several processes each keeps its own figures, and the one that is asked adds them up.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

# The folder of metric_files.py, for Prometheus' client.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Seconds: our own part of a request is a few milliseconds, a model's answer takes seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 90)

# Label sets of one metric. Routes, methods, statuses and models are few; with so many, what a
# process keeps fits into its files (metric_files.py): a counter takes some 250 bytes for each, a
# histogram 4,500.
_MAX_COUNTER_CHILDREN = 1000
_MAX_HISTOGRAM_CHILDREN = 100


def start_counting(files: Path | None = None, number: int = 0) -> None:
    """Count in this process from now on.

    Args:
        files: The folder of files that all processes add up; unless given, this process has its
            figures to itself.
        number: Which set of files this process uses.

    """
    global _figures
    if files is not None:
        use_folder(files)
    if _figures is None:
        _figures = _Figures(number)


def use_folder(files: Path) -> None:
    """Name the folder to Prometheus' client, which looks for it as it is loaded."""
    os.environ[FOLDER_VARIABLE] = str(files)


def register_metrics(app: Flask, open_to: Callable[[Callable[[], Response]], Any]) -> None:
    """Add `GET /metrics`, open to whom the decorator declares.

    Under gunicorn each process starts to count by itself; any other server has only this one.
    """
    import prometheus_client  # noqa: F401  # once, for all that are forked from this process

    app.add_url_rule("/metrics", view_func=open_to(_metrics))
    if FOLDER_VARIABLE not in os.environ:
        start_counting()


def count_request(method: str, route: str, status: int, seconds: float, waited: float) -> None:
    """Count a request that was answered in so many seconds, some spent waiting for the model."""
    if _figures is not None:
        _figures.requests.inc(1, method, route, str(status))
        _figures.request_seconds.observe(seconds, method, route)
        if waited:
            _figures.waiting_seconds.observe(waited, method, route)


def count_model_failure(kind: str) -> None:
    """Count a call without a whole answer."""
    if _figures is not None:
        _figures.model_failures.inc(1, kind)


def count_tokens(model: str, direction: str, tokens: int) -> None:
    """Count tokens that a call has used, `in` or `out`."""
    if _figures is not None:
        _figures.tokens.inc(tokens, model, direction)


def count_job(kind: str, outcome: str) -> None:
    """Count a try of a background job: `done`, `retried` later, or `failed` for good."""
    if _figures is not None:
        _figures.jobs.inc(1, kind, outcome)


def add_turn(number: int) -> None:
    """Count one more turn under way, or one less."""
    if _figures is not None:
        _figures.under_way.inc(number)


class _Children:
    """A metric's children by their labels; Prometheus' client takes some 2 us to look one up."""

    def __init__(self, metric: "Counter | Histogram", most: int) -> None:
        self._metric = metric
        self._most = most
        self._children: dict[tuple[str, ...], Any] = {}

    def inc(self, amount: float, *labels: str) -> None:
        child = self._child(labels)
        if child is not None:
            child.inc(amount)

    def observe(self, amount: float, *labels: str) -> None:
        child = self._child(labels)
        if child is not None:
            child.observe(amount)

    def _child(self, labels: tuple[str, ...]) -> Any:  # noqa: ANN401  # a child is a metric again
        child = self._children.get(labels)
        if child is None and len(self._children) < self._most:
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class _Figures:
    """The figures that this process counts."""

    def __init__(self, number: int) -> None:
        from prometheus_client import Counter, Gauge, Histogram, values

        if FOLDER_VARIABLE in os.environ:
            values.ValueClass = values.MultiProcessValue(lambda: number)

        def counter(*arguments: Any) -> _Children:  # noqa: ANN401  # Prometheus' own
            return _Children(Counter(*arguments), _MAX_COUNTER_CHILDREN)

        def histogram(name: str, documentation: str) -> _Children:
            metric = Histogram(name, documentation, ["method", "route"], buckets=_BUCKETS)
            return _Children(metric, _MAX_HISTOGRAM_CHILDREN)

        self.requests = counter(
            "tukma_requests", "Requests answered", ["method", "route", "status"]
        )
        self.request_seconds = histogram("tukma_request_seconds", "Time to answer a request")
        self.waiting_seconds = histogram(
            "tukma_waiting_seconds", "Part of it that was spent waiting for the model"
        )
        self.model_failures = counter(
            "tukma_model_failures", "Calls without a whole answer", ["kind"]
        )
        self.tokens = counter(
            "tukma_tokens",
            "Tokens, by direction: in is what the model read",
            ["model", "direction"],
        )
        self.jobs = counter("tukma_jobs", "Tries of background jobs", ["kind", "outcome"])
        self.under_way = Gauge(
            "tukma_turns_under_way", "Starts and replies under way", multiprocess_mode="livesum"
        )


_figures: _Figures | None = None


def _metrics() -> Response:
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        REGISTRY,
        CollectorRegistry,
        generate_latest,
        multiprocess,
    )

    registry = REGISTRY
    if FOLDER_VARIABLE in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
