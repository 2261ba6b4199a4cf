"""Waiting for an event that cannot be subscribed to."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(look: Callable[[], Value]) -> Value:
    """Return the first value that is true; it must come within a minute and a half."""
    give_up = time.monotonic() + 90
    while time.monotonic() < give_up:
        if value := look():
            return value
        time.sleep(0.01)
    raise AssertionError("it never came to be")
