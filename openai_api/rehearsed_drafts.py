"""The rehearsal's answers to a JSON schema that it does not know better: objects that fit it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# The texts of a draft of a rubric, by their key and the number of the criterion. Any other key has
# its own name as its text.
DRAFT: Mapping[str, Sequence[str]] = {
    "id": ("own_part", "problem_solving", "working_together"),
    "title": ("Own part", "Problem solving", "Working together"),
    "definition": (
        "Says what they did themselves in a piece of work, and what came of it.",
        "Says how they found out what was wrong, and what they did about it.",
        "Says how they worked with others, also where it was difficult.",
    ),
    "1": (
        "Speaks of work in general, or of what others did.",
        "Names no problem, or leaves it to others.",
        "Names nobody, or only blames others.",
    ),
    "3": (
        "Names a piece of work and a task of their own in it.",
        "Names a problem and what they did.",
        "Names a situation with others and what they did in it.",
    ),
    "5": (
        "Names task, steps and result, and why they chose these steps.",
        "Says how they found the cause, what they tried, and what they changed for later.",
        "Says what others needed, what they changed in their own way, and what came of it.",
    ),
}


def draft(schema: Mapping[str, Any]) -> str:
    """Return an object that fits a schema for strict output, and reads like a rubric if it can."""
    return json.dumps(_fitting(schema, "", 0), ensure_ascii=False)


def _fitting(schema: Mapping[str, Any], name: str, number: int) -> Any:
    """Return a value that fits a schema for strict output, under the key and in the nth object."""
    if "enum" in schema:
        return schema["enum"][0]
    choices = schema.get("anyOf") or [
        {**schema, "type": kind} for kind in _listed(schema.get("type", "null"))
    ]
    kind = next((choice for choice in choices if choice.get("type") == "null"), choices[0])
    match kind["type"]:
        case "object":
            return {
                key: _fitting(value, key, number)
                for key, value in kind.get("properties", {}).items()
            }
        case "array":
            size = min(max(kind.get("minItems", 0), len(DRAFT["id"])), kind.get("maxItems", 99))
            return [_fitting(kind["items"], name, index) for index in range(size)]
        case "string":
            known = DRAFT.get(name, ())
            return known[number] if number < len(known) else f"{name}_{number + 1}"
        case "integer" | "number":
            return kind.get("minimum", 1)
        case "boolean":
            return False
    return None


def _listed(kind: str | list[str]) -> list[str]:
    return kind if isinstance(kind, list) else [kind]
