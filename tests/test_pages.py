"""What all pages have in common: headers, languages, files, and that they can be off."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from api import Api
from config import APP_FOLDER
from pages.page import CONTENT_SECURITY_POLICY, STATIC_FOLDER
from positions.languages import LANGUAGES, NAMES_OF_LANGUAGES

MakeApi = Callable[..., Api]
TEMPLATES = APP_FOLDER / "pages" / "templates"
TRANSLATIONS = APP_FOLDER / "pages" / "translations"


def texts() -> Iterator[str]:
    """Every text of the templates that is to be translated."""
    methods = [("templates/**.html", "jinja2"), ("statement.py", "python")]
    for _, _, text, _, _ in extract_from_dir(APP_FOLDER / "pages", methods):
        yield from [text] if isinstance(text, str) else text


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|%", text))


def test_the_catalogues_are_those_of_the_languages() -> None:
    assert {path.stem for path in TRANSLATIONS.iterdir()} == set(LANGUAGES) - {"en"}
    assert set(NAMES_OF_LANGUAGES.values()) == set(LANGUAGES)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_no_catalogue_lacks_a_text_or_has_one_too_many(language: str) -> None:
    with (TRANSLATIONS / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    wanted = set(texts())
    assert len(wanted) > 60
    assert {message.id for message in catalogue if message.id} == wanted
    for message in catalogue:
        if isinstance(message.id, str) and message.id:
            assert not message.fuzzy, message.id
            assert isinstance(message.string, str)
            assert message.string.strip(), message.id
            assert placeholders(message.string) == placeholders(message.id)
    assert not catalogue.obsolete


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_a_template_has_no_script_or_style_of_its_own(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.5", "de"),
        ("", "pt-BR,pt;q=0.9,es;q=0.8", "es"),
        ("", "tl-PH,en;q=0.5", "fil"),
        ("", "fil", "fil"),
        ("", "zz,*;q=0.1", "en"),
        ("?language=fr", "de", "fr"),
        ("?language=FR", "de", "fr"),
        ("?language=<b>", "de", "de"),
    ],
)
def test_a_page_is_in_the_language_that_is_asked_for_or_that_the_browser_likes(
    api: Api, query: str, accepted: str, language: str
) -> None:
    page = api.raw("GET", f"/interview{query}", headers={"Accept-Language": accepted})
    assert f'<html lang="{language}">' in page.text
    assert f'lang="{language}" hreflang="{language}" class="language" aria-current' in page.text


def test_a_page_may_do_no_more_than_it_has_to_and_is_kept_nowhere(api: Api) -> None:
    page = api.raw("GET", "/interview")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in page.headers


def test_files_are_kept_for_long_under_a_url_that_changes_with_them(api: Api) -> None:
    page = api.raw("GET", "/interview").text
    urls = re.findall(r'(?:href|src)="(static/[^"]+)"', page)
    assert len(urls) == 2
    for url in urls:
        file = api.raw("GET", f"/{url}")
        assert file.status_code == 200
        assert file.mimetype in ("text/css", "text/javascript")
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        other = api.raw("GET", re.sub("static/[^/]+", "/static/another", url))
        assert other.text == file.text
        assert other.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["none.js", "..", "..%2fpage.py", "%2e%2e%2fpage.py", ""])
def test_no_other_file_is_served(api: Api, name: str) -> None:
    answer = api.raw("GET", f"/static/any/{name}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/json"


def test_the_files_import_each_other_by_names_that_exist() -> None:
    names = {path.name for path in STATIC_FOLDER.iterdir()}
    for path in STATIC_FOLDER.glob("*.js"):
        imported = re.findall(r"""(?:from|import\()\s*["']\./([^"']+)["']""", path.read_text())
        assert set(imported) <= names


def test_without_pages_there_is_the_api_alone(make_api: MakeApi) -> None:
    api = make_api(pages=False)
    for path in ("/interview", "/static/any/style.css"):
        assert api.get(path).status == 404
    assert api.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        (None, "please ask the people who invited you."),
        ("jobs@example.com", '<a href="mailto:jobs@example.com">jobs@example.com</a>'),
        ("https://a.example/?b=1&c", '<a href="https://a.example/?b=1&amp;c" rel="noreferrer">'),
        ("Mrs <b>Weber</b>, 030 1234", "please ask Mrs &lt;b&gt;Weber&lt;/b&gt;, 030 1234."),
        ("javascript:alert(1)", "please ask javascript:alert(1)."),
        ("'\"><script>@x", '<a href="mailto:&#39;&#34;&gt;&lt;script&gt;@x">'),
    ],
)
def test_the_room_says_whom_to_ask(make_api: MakeApi, contact: str | None, shown: str) -> None:
    assert shown in make_api(contact=contact).raw("GET", "/interview").text
