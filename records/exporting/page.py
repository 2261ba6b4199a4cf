"""Exported documents as an HTML file, to be read and printed."""

import json
from collections.abc import Sequence
from typing import Any

from records.exporting.document import Json
from records.exporting.transcript import with_notes
from records.standalone import rendered
from scorecards.queries import Review
from scorecards.result import reviewed

NOTHING = "\N{EN DASH}"


def as_html(documents: Sequence[Json]) -> str:
    """Return people's documents as one HTML file."""
    return rendered(
        "interviews.html",
        documents=documents,
        shown=shown,
        without=without,
        with_notes=with_notes,
        criteria=criteria,
    )


def shown(value: Any) -> str:  # noqa: ANN401  # of a document
    """Return a value as people read it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without(values: Json, *names: str) -> Json:
    """Return an object without members that stand elsewhere on the page."""
    return {name: value for name, value in values.items() if name not in names}


def criteria(scorecard: Json) -> list[Json]:
    """Return the criteria of an exported scorecard as they count, with the reviews."""
    result = scorecard["result"]
    if not result:
        return []
    return reviewed(result, [Review(**review) for review in scorecard["reviews"]])
