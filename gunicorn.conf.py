"""How gunicorn serves the app; `gunicorn app:app` finds this file by itself.

What the environment's `PORT` says, gunicorn takes over without us: 0.0.0.0 and that port.
"""

import gc
import logging
import os
import signal
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from config import StartError, load
from web.gunicorn_worker import limit_silence, without_personal_data

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
worker_connections = max(1000, 2 * threads)

# Loaded once and shared by the processes that are forked from it; a setting that is wrong is told
# once, and a file is migrated once. Nothing that must not be forked is open by then.
preload_app = True

# A reply that is under way when the service is stopped gets the time to end.
graceful_timeout = int(settings.reply_deadline) + 10

# Proxies keep connections open for about a minute; whoever closes first loses requests.
keepalive = 75

# Whom to believe about a client's address and scheme is up to TRUSTED_PROXIES alone.
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

if settings.metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="tukma-metrics-")


def when_ready(server: Any) -> None:
    """Leave what is loaded in the memory that all processes share: the collector would touch it."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Stop when told to from the first moment on, and give up clients that stall."""
    # gunicorn sets a worker's own handlers a little later. Until then a SIGTERM would go where the
    # arbiter's handler puts it, a queue that nobody reads here, and the arbiter would wait for the
    # whole graceful_timeout.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get_nowait() == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
    for listener in worker.sockets:
        limit_silence(listener.sock, settings.client_timeout)


def post_worker_init(worker: Any) -> None:
    """Warn of models that end; not before the fork, as it opens a connection to the model."""
    from llm import warn_of_model_ends

    warn_of_model_ends(settings)


def child_exit(server: Any, worker: Any) -> None:
    """Take what is no longer under way out of the metrics."""
    if settings.metrics:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """Leave no files behind."""
    if settings.metrics:
        rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
