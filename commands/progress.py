"""The progress of a command that takes a while, drawn on stderr where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Progress = Callable[[int, int], None]
"""Takes how much is done, and how much there is in all."""


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Draw a bar for as long as the block takes."""
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show
