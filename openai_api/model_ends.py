"""Warnings of models that the provider is about to end."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from threading import Thread

from config import Config, Model
from openai_api.client import Client
from openai_api.errors import LLMError

log = logging.getLogger(__name__)

# Seconds between two looks at the provider's list.
INTERVAL = 86_400.0

# Seconds that the provider has to give its list.
TIMEOUT = 30.0

# An end is warned of when it is less than this away: time to try another model, and to deploy it.
NOTICE = timedelta(days=90)


def warn_daily(config: Config) -> None:
    """Warn now and once a day, in a thread that keeps no process from ending."""
    Thread(target=_warn_daily, args=(config,), name="model ends", daemon=True).start()


def _warn_daily(config: Config) -> None:
    client = Client(config)
    while True:
        warn(client, config.openai_model)
        time.sleep(INTERVAL)


def warn(client: Client, models: Sequence[Model]) -> None:
    """Log a warning for each of the models whose end is known and near.

    A provider that gives no list, or no dates, gives no reason to warn.
    """
    try:
        listed = client.models(time.monotonic() + TIMEOUT)
    except LLMError as error:
        log.debug("The provider does not list its models: %s (%s)", error.kind, error.detail)
        return
    ends = {str(model.get("id")): _date(model.get("shutdown_date")) for model in listed}
    today = datetime.now(UTC).date()
    for place, model in enumerate(models):
        end = ends.get(model.name)
        if end is None or end - today >= NOTICE:
            continue
        later = (other.name for other in models[place + 1 :])
        successor = next((name for name in later if (ends.get(name) or date.max) > end), None)
        if successor is None:
            log.warning(
                "The provider ends the model %s on %s, and OPENAI_MODEL has none for the time"
                " after that: name its successor there.",
                model.name,
                end,
            )
        else:
            log.warning(
                "The provider ends the model %s on %s; after that %s answers.",
                model.name,
                end,
                successor,
            )


def _date(value: object) -> date | None:
    """Return the date that is written in ISO 8601 or as a Unix timestamp; None if it is neither."""
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, str):
            return datetime.fromisoformat(value).date()
        if isinstance(value, int | float) and value > 1:  # 0, or false, would mean none
            return datetime.fromtimestamp(value, UTC).date()
    return None
