"""Connections to PostgreSQL: how they are made, and how they fail.

Errors of PostgreSQL leave as `DatabaseUnavailable`.
"""

import logging
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from config import Config
from storage.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

# States after which a connection is as good as before: a lock was not to be had, a statement took
# too long, two transactions waited for one another, the disk is full.
PASSING_ERRORS = ("55P03", "57014", "40P01", "40001", "53100")

Result = TypeVar("Result")


class PostgresConnection(Connection[Any]):
    """A connection on which nothing is waited for without end, even from a server gone silent."""

    patience: float | None = None
    """Seconds to wait for what was asked; None: without end."""

    def wait(
        self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None
    ) -> Result:
        """Wait as psycopg does, but not for ever."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server is silent") from None

    def is_stale(self) -> bool:
        """Tell whether the server has closed it, without asking unless there is reason to."""
        if not self.closed and _is_readable(self.fileno()):
            # Nothing was asked. So the server parts, or speaks of something else.
            with suppress(psycopg.Error):
                self.execute("")
        return self.closed


def _is_readable(socket: int) -> bool:
    if sys.platform == "win32":
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def connection_options(config: Config) -> dict[str, Any]:
    """Return how to connect; what the URL says of it counts more."""
    options = {
        "connect_timeout": max(2, round(config.database_lock_timeout)),
        "fallback_application_name": "tukma",
        # Idle connections that a firewall has dropped are found by these.
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    said = conninfo_to_dict(config.database_url)
    return {
        **{name: value for name, value in options.items() if name not in said},
        "autocommit": True,  # transactions are begun and ended in plain sight
        "prepare_threshold": None,
        "client_encoding": "UTF8",
    }


@contextmanager
def translated_errors() -> Iterator[None]:
    try:
        yield
    except (
        psycopg.ProgrammingError,
        psycopg.IntegrityError,
        psycopg.DataError,
        psycopg.NotSupportedError,
    ):
        raise  # a mistake of ours, not a state of the database
    except psycopg.Error as error:
        log.error("PostgreSQL: %s (%s)", told(error), error.sqlstate)  # noqa: TRY400  # all is told
        raise DatabaseUnavailable(_reason(error)) from error


def told(error: psycopg.Error) -> str:
    """Return what went wrong, without the values that the server may add on further lines."""
    return str(error).partition("\n")[0].rstrip(".")


def _reason(error: psycopg.Error) -> str:
    """Put an error into the client's words."""
    if isinstance(error, PoolTimeout):
        return "it gives no connection"
    for state, reason in (
        ("55P03", "it is busy"),
        ("57014", "it takes too long"),
        ("53100", "its disk is full"),
        ("25006", "it is read-only"),
        ("", "it fails"),
    ):
        if error.sqlstate is not None and error.sqlstate.startswith(state):
            return reason
    return "the connection to it broke"
