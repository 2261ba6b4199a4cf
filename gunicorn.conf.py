"""gunicorn's settings for the app; `gunicorn app:app` finds this file by itself.

gunicorn reads `PORT` from the environment without us, and listens on 0.0.0.0 and that port.
"""

import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from config import StartError, load
from monitoring import metrics
from monitoring.log_writer import write_in_background
from monitoring.metric_files import PLACES, MetricFiles
from web.arriving_request import BodyLimits
from web.fields import body_limits
from web.gunicorn_worker import (
    Worker,
    allow_many_connections,
    limit_writes,
    share_one_heap,
    without_personal_data,
)

try:
    settings = load()  # `config` is a setting of gunicorn's own
except StartError as error:
    print(f"The service cannot start. {error}", file=sys.stderr)
    sys.exit(4)

# Threads, as requests wait for the model nearly all the time. Two processes can use two cores; more
# only take memory.
worker_class = "web.gunicorn_worker.Worker"
workers = settings.web_concurrency
threads = settings.worker_threads
allow_many_connections()
share_one_heap()
worker_connections = 2000 + threads
Worker.client_timeout = settings.client_timeout
Worker.body_limits = BodyLimits(settings.max_body_bytes, body_limits(settings))

# Loaded once and shared by the processes that are forked from it; a setting that is wrong is
# reported once, and a file is migrated once. Nothing that must not be forked is open by then.
preload_app = True

# A reply that is under way when the service is stopped gets the time to end.
graceful_timeout = int(settings.reply_deadline) + 10

# Proxies keep connections open for about a minute; whoever closes first loses requests.
keepalive = 75

# TRUSTED_PROXIES alone decides which proxies are believed about a client's address and scheme.
forwarded_allow_ips = ""

# The most that gunicorn takes. fields.py refuses an interview whose URL would be longer.
limit_request_line = 8190

# Workers are not recycled: nothing in them is known to grow, and each restart would cost them their
# connections, to clients and to the model.
max_requests = 0

# In memory: a heartbeat must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
control_socket_disable = True

logging.getLogger("gunicorn.error").addFilter(without_personal_data)

metric_files = MetricFiles.of_this_process(workers) if settings.metrics else None
if metric_files is not None:
    metrics.use_folder(metric_files.folder)
elif settings.metrics:
    os.environ["METRICS"] = "off"  # the app reads its settings for itself

# The process that warns of models that end.
warner: Any = None


def on_starting(server: Any) -> None:
    """Report that metrics are off where they should be on."""
    if settings.metrics and metric_files is None:
        server.log.error("There are no metrics: no space for their files in %s.", PLACES)


def when_ready(server: Any) -> None:
    """Leave what is loaded in the memory that all processes share: the collector would touch it."""
    gc.collect()
    gc.freeze()


def pre_fork(server: Any, worker: Any) -> None:
    """Find files for the new process's figures, and whether it is to warn of models that end."""
    global warner
    worker.metric_files = metric_files.take() if metric_files is not None else None
    # One process is enough, until it ends: the client to the model takes memory in each.
    if warner not in server.WORKERS.values():
        warner = worker


def post_fork(server: Any, worker: Any) -> None:
    """Stop when told to from the first moment on, and give up clients that do not read."""
    # gunicorn sets a worker's own handlers a little later. Until then a SIGTERM would go where the
    # arbiter's handler puts it, a queue that nobody reads here, and the arbiter would wait for the
    # whole graceful_timeout.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get_nowait() == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
    write_in_background([*logging.getLogger().handlers, *worker.log.error_log.handlers])
    for listener in worker.sockets:
        limit_writes(listener.sock, settings.client_timeout)
    if worker.metric_files is not None:
        metrics.start_counting(worker.metric_files.files.folder, worker.metric_files.number)
    elif metric_files is not None:
        server.log.error("There is no space for this process's metrics; it counts nothing.")


def post_worker_init(worker: Any) -> None:
    """Do what must not be done before the fork: begin background work, and ask about models."""
    from llm import warn_of_model_ends
    from web.service import service

    if worker is warner:
        warn_of_model_ends(settings)
    if settings.worker:
        worker.background = service(worker.app.wsgi()).worker
        worker.background.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Put back the background work that is under way."""
    if worker.background is not None:
        worker.background.stop()
        worker.background.join()


def child_exit(server: Any, worker: Any) -> None:
    """Take what is no longer under way out of the metrics."""
    if worker.metric_files is not None:
        worker.metric_files.give_back()


def on_exit(server: Any) -> None:
    """Leave no files behind."""
    if metric_files is not None:
        metric_files.remove()
