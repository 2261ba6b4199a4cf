"""What all pages have in common: how they are rendered, and what browsers may do with them.

A page is never stored by a cache. It loads files of `static/` and nothing else, and runs no script
and no style of its own text, so that nothing that somebody has written can become one.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from access.guard import everybody
from pages.languages import language, translated, translated_plural
from positions.languages import LANGUAGES

FOLDER = Path(__file__).resolve().parent
STATIC_FOLDER = FOLDER / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# Seconds for which a browser keeps a file whose URL changes with the files: a year.
STATIC_MAX_AGE = 31_536_000

# By what a name ends with, not by what the system says.
MIMETYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

pages = Blueprint("pages", __name__, template_folder="templates")


def render(template: str, **values: object) -> Response:
    """Answer with a page in the language of the request."""
    text = render_template(
        template,
        _=translated,
        ngettext=translated_plural,
        language=language(),
        languages=LANGUAGES,
        static=static_url,
        url=from_here,
        **values,
    )
    return Response(
        text, mimetype="text/html", headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    )


def render_english(template: str, status: int = 200, **values: object) -> Response:
    """Answer with a page that has no translations, as it is not for applicants."""
    text = render_template(
        template, _=str, language="en", static=static_url, url=from_here, **values
    )
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Response(text, status, mimetype="text/html", headers=headers)


@pages.get("/static/<version>/<name>")
@everybody
def static_file(version: str, name: str) -> Response:
    """Answer with a file that pages load."""
    content = static_files().get(name)
    if content is None:
        raise NotFound
    response = Response(content, mimetype=MIMETYPES[Path(name).suffix])
    response.headers["Cache-Control"] = (
        f"public, max-age={STATIC_MAX_AGE}, immutable"
        if version == static_version()
        # A page of another version of the service, which has another file under this URL.
        else "no-store"
    )
    return response


def static_url(name: str) -> str:
    """Return the URL of a file of `static/`, which is another one once any file has changed.

    The version comes before the name, so that scripts can import each other by their names.
    """
    return from_here(f"/static/{static_version()}/{name}")


def from_here(path: str) -> str:
    """Return a path of the service as a link from the current page.

    It leads there also behind a proxy that takes a prefix off the path, as in `PUBLIC_URL`.
    """
    return "../" * (request.path.count("/") - 1) + path.removeprefix("/")


@cache
def static_files() -> dict[str, bytes]:
    """Return all files of `static/` by their names; they are few and small."""
    return {path.name: path.read_bytes() for path in sorted(STATIC_FOLDER.iterdir())}


@cache
def static_version() -> str:
    """Return a digest of all files of `static/`."""
    digest = sha256()
    for name, content in static_files().items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
