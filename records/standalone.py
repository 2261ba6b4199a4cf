"""HTML files that stand alone: everything is in them, nothing is loaded, and no script runs.

Whatever is put into a template is escaped. Should a template fail to, its policy still keeps a
browser from running or loading anything.
"""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).resolve().parent / "templates"


def rendered(template: str, **values: object) -> str:
    """Return a template of `records/templates/` as text."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
