"""A process that starts gunicorn by forking, for tests that start it some hundred times.

Most of a start is loading the packages that the service is built on, a second of processor time.
Here they are loaded once. Each server runs `python -m gunicorn` as from the command line, in an
environment of its own, and loads the service's own modules itself.

Reads requests from its standard input, a JSON object a line, and answers each with a line.
"""

import gc
import json
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

APP_FOLDER = Path(__file__).resolve().parent.parent

# What the service loads of others' packages, not prometheus_client, which looks at the environment
# as it is loaded, nor psycopg, which is for PostgreSQL alone.
PACKAGES = (
    "dotenv",
    "flask",
    "flask_cors",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "httpcore2",
    "httpx2",
    "itsdangerous",
    "limits.storage",
    "openai.resources.chat",
    "pydantic",
    "redis",
    "yaml",
)


def main() -> None:
    """Serve requests until the input ends, and in each forked process, gunicorn."""
    sys.path[0] = str(APP_FOLDER)  # as with `python -m`, run there
    for name in PACKAGES:
        import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "status_of" in request:
            answer = status_of(request["status_of"])
        else:
            answer = os.fork()
            if answer == 0:
                become(request)
                runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
                return
        print(json.dumps(answer), flush=True)


def become(request: dict[str, Any]) -> None:
    """Take the environment, the arguments and the output of the server that is asked for."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, standard)
    os.close(log)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(APP_FOLDER)
    sys.argv = ["gunicorn", *request["arguments"]]


def status_of(pid: int) -> int | None:
    """Return what the process has ended with, as `subprocess` does, and None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    main()
