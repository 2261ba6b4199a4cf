"""Files that hold applicants' words: created for their owner alone, whatever the umask."""

import logging
import os
import stat
from pathlib import Path

log = logging.getLogger(__name__)


def create_private(path: Path) -> None:
    """Create the file, empty, with mode 0600, unless there is one.

    SQLite gives the files that it puts beside a database the database's own mode.

    Raises:
        OSError: There is none, and none can be created.

    """
    try:
        # The path may be a link, as on some platforms' volumes; the file is the link's target.
        file = os.open(path.resolve(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    try:
        if hasattr(os, "fchmod"):  # a umask may take away the owner's rights as well
            os.fchmod(file, 0o600)
    finally:
        os.close(file)


def warn_if_public(*paths: Path) -> None:
    """Log a warning for each file that every user of the machine can read.

    Its mode may be meant, or be somebody else's to change, so it is left alone.
    """
    for path in paths:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if os.name == "posix" and mode & stat.S_IROTH:
            log.warning(
                "%s can be read by every user of this machine (mode %04o); consider chmod 600.",
                path,
                stat.S_IMODE(mode),
            )
