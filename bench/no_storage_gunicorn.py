"""gunicorn's settings for the service without storage: those of gunicorn.conf.py."""

import gc
import os

from config import Config

worker_class = "gthread"
workers = Config.web_concurrency
threads = Config.worker_threads
worker_connections = 1000
preload_app = True
keepalive = 75
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
control_socket_disable = True


def when_ready(_server: object) -> None:
    """Leave what is loaded out of the garbage collector's rounds, as ours does."""
    gc.collect()
    gc.freeze()
