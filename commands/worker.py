"""The command that does background work alone, in a process without HTTP."""

import signal
import time
from contextlib import suppress

import click


@click.command(help="Do background work in this process, with the service's settings.")
def worker() -> None:
    """Work until SIGTERM or Ctrl-C."""
    # The app has all parts with the service's settings, and reports what is wrong with those.
    from app import app
    from web.service import service

    work = service(app).worker
    with suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        work.start()
        click.echo("Background work is done here until SIGTERM or Ctrl-C.")
        while True:
            time.sleep(3600)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it ends by itself in a moment
    work.stop()
    work.join()
