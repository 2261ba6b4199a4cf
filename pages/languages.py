"""The languages of the pages: which one a request gets, and its catalogue.

English stands in the templates; the others have a catalogue each, `translations/<language>.po`.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from flask import g, has_request_context, request

from positions.languages import LANGUAGES

TRANSLATIONS = Path(__file__).resolve().parent / "translations"

# What browsers may call a language beside its name here.
OTHER_NAMES = {"tl": "fil"}


def language() -> str:
    """Return the language of the current request's page.

    It is the one that the URL's `language` asks for, else the one that the browser likes best.
    """
    if not has_request_context():
        return "en"
    if "language" not in g:
        # The best first, and each without its region: de-AT is de here.
        liked = [tag.partition("-")[0].lower() for tag in request.accept_languages.values()]
        wanted = [request.args.get("language", "").lower(), *liked]
        named = (OTHER_NAMES.get(name, name) for name in wanted)
        g.language = next((name for name in named if name in LANGUAGES), "en")
    chosen: str = g.language
    return chosen


def translated(text: str) -> str:
    """Return a text of the templates in the language of the current request."""
    return catalogue(language()).gettext(text)


def translated_plural(one: str, many: str, number: int) -> str:
    """Return the text for a number of things in the language of the current request."""
    return catalogue(language()).ngettext(one, many, number)


@cache
def catalogue(name: str) -> NullTranslations:
    """Return the texts of a language."""
    if name == "en":
        return NullTranslations()
    # Only here: they take 4 MB, and an English page needs none.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (TRANSLATIONS / f"{name}.po").open("rb") as file:
        messages = read_po(file, locale=name)
    compiled = BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return GNUTranslations(compiled)
