"""The error of an import that was not made, in words for the operator."""

from collections.abc import Sequence

# Names that an error lists.
NAMED = 20


class ImportingError(Exception):
    """The reason why nothing was imported: a sentence, or a list."""


def listed(sentence: str, names: Sequence[Sequence[str]]) -> str:
    """Return the sentence with the names below it, or as many of them as are of use."""
    lines = [f"  {' / '.join(name)}" for name in names[:NAMED]]
    if len(names) > NAMED:
        lines.append(f"  and {len(names) - NAMED} more")
    return "\n".join((f"{sentence}:", *lines))
