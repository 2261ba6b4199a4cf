"""The files in which gunicorn's processes keep their figures, one set a process, for all to add up.

Prometheus' client maps them into memory, where a write that finds no space ends the process by
SIGBUS. So each file has its space, and more than its figures can take, before a process uses it.
"""

import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

# In memory where that is possible: the figures are not worth a write to a disk.
PLACES = ("/dev/shm", tempfile.gettempdir())  # noqa: S108

# Bytes of each file. metrics.py bounds what is kept in it.
FILE_BYTES = 1_048_576

# The beginnings of the names that Prometheus' client gives to files of metrics.py's kinds.
_GAUGES = "gauge_livesum"
_KINDS = ("counter", "histogram", _GAUGES)


@dataclass(frozen=True)
class MetricSet:
    """The files of one process."""

    files: "MetricFiles"
    number: int

    def give_back(self) -> None:
        """Leave the set to others, without what was under way in the process, which has ended."""
        self.files.give_back(self.number)


class MetricFiles:
    """A folder of files, in sets; each set is used by one process at a time.

    A process that replaces another goes on with its counters, so that there are never more sets
    than processes were alive at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: set[int] = set()

    @classmethod
    def of_this_process(cls, sets: int) -> "MetricFiles | None":
        """Return a folder that has space for so many sets, or None if no place has.

        Asked again, as gunicorn does when it reads its configuration anew, it is the same one.
        """
        global _made
        if _made is None:
            _made = cls._make(sets)
        return _made

    @classmethod
    def _make(cls, sets: int) -> "MetricFiles | None":
        for place in PLACES:
            with suppress(OSError):
                files = cls(Path(tempfile.mkdtemp(prefix="tukma-metrics-", dir=place)))
                try:
                    for number in range(sets):
                        files._reserve(number)
                except OSError:
                    files.remove()
                    raise
                return files
        return None

    def take(self) -> MetricSet | None:
        """Return a set that no process uses, or None if there is no space for one."""
        number = 0
        while number in self._taken:
            number += 1
        try:
            self._reserve(number)
        except OSError:
            return None
        self._taken.add(number)
        return MetricSet(self, number)

    def give_back(self, number: int) -> None:
        """Take back a set, and drop what is no longer under way."""
        self._file(_GAUGES, number).unlink(missing_ok=True)
        self._taken.discard(number)

    def remove(self) -> None:
        """Leave nothing behind."""
        rmtree(self.folder, ignore_errors=True)

    def _reserve(self, number: int) -> None:
        for kind in _KINDS:
            path = self._file(kind, number)
            if path.exists():
                continue
            # Under another name, or what there is of a file would be mapped.
            unfinished = path.with_suffix(".new")
            try:
                with unfinished.open("wb") as file:
                    if sys.platform == "darwin":
                        file.write(bytes(FILE_BYTES))
                    else:
                        os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
                unfinished.rename(path)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise

    def _file(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}_{number}.db"


_made: MetricFiles | None = None
