"""Waiting for an event that cannot be subscribed to."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(look: Callable[[], Value]) -> Value:
    """Return the first value that is true; it must come within half a minute."""
    for _ in range(1500):
        if value := look():
            return value
        time.sleep(0.02)
    raise AssertionError("it never came to be")
