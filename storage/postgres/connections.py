"""Connections to PostgreSQL: options, timeouts, and errors.

Errors of PostgreSQL leave this package as `DatabaseUnavailable`.
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

# SQLSTATEs after which a connection is as good as before: a lock was not available, a statement
# took too long, two transactions waited for one another, the disk is full.
PASSING_ERRORS = ("55P03", "57014", "40P01", "40001", "53100")

Result = TypeVar("Result")


class PostgresConnection(Connection[Any]):
    """A connection that breaks if the server is silent for too long."""

    patience: float | None = None
    """Seconds to wait for an answer; None: without a bound."""

    def wait(
        self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None
    ) -> Result:
        """Wait as psycopg does, but no longer than `patience`."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server is silent") from None

    def is_stale(self) -> bool:
        """Return whether the server has closed it; usually nothing is sent to find out."""
        if not self.closed and _is_readable(self.fileno()):
            # No answer is due, so this is the end of the connection, or a notice.
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
    """Return the options of a connection; those in the URL take precedence."""
    options = {
        "connect_timeout": max(2, round(config.database_lock_timeout)),
        "fallback_application_name": "tukma",
        # Find idle connections that a firewall has dropped.
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    in_url = conninfo_to_dict(config.database_url)
    return {
        **{name: value for name, value in options.items() if name not in in_url},
        "autocommit": True,  # BEGIN and COMMIT are sent explicitly
        "prepare_threshold": None,
        "client_encoding": "UTF8",
    }


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise errors of PostgreSQL as `DatabaseUnavailable`, and mistakes of ours as they are."""
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
        log.error(  # noqa: TRY400  # a state of the database has no traceback
            "PostgreSQL: %s (%s)", first_line(error), error.sqlstate
        )
        raise DatabaseUnavailable(reason(error)) from error


def first_line(error: psycopg.Error) -> str:
    """Return what went wrong, without the values that the server may add on further lines."""
    return str(error).partition("\n")[0].rstrip(".")


def reason(error: psycopg.Error) -> str:
    """Return what a client reads of the error."""
    if isinstance(error, PoolTimeout):
        return "it gives no connection"
    for state, words in (
        ("55P03", "it is busy"),
        ("57014", "it takes too long"),
        ("53100", "its disk is full"),
        ("25006", "it is read-only"),
        ("", "it fails"),
    ):
        if error.sqlstate is not None and error.sqlstate.startswith(state):
            return words
    return "the connection to it broke"
