"""The `sqlite3` module that the service uses: pysqlite3, where it is installed, or Python's own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3 as sqlite3
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3 as sqlite3
