"""The recruiter's board as a browser without scripts uses it: pages, and the forms on them."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from werkzeug.test import Client, TestResponse

from access.api_keys import hash_of
from api import Api, over_flask
from app import create_app
from config import Config
from db import Database
from web.service import service

KEY, OTHER_KEY = "a-recruiters-key", "another-recruiters-key"
SECRET_KEY = "s" * 40
WITH_KEYS: dict[str, Any] = {
    "api_keys": (hash_of(KEY), hash_of(OTHER_KEY)),
    "secret_key": (SECRET_KEY,),
}
AUTHORIZED = {"X-API-Key": KEY}

Fields = dict[str, str]


class Form:
    """A form of a page: where it goes, and what stands in its fields."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: Fields = {}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._area = ""
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        if not self.forms:
            return
        fields = self.forms[-1].fields
        name = given.get("name", "")
        if tag == "input" and given.get("type") in ("radio", "checkbox"):
            if "checked" in given:
                fields[name] = given["value"]
        elif tag == "input" and name and given.get("type") != "file":
            fields[name] = given.get("value", "")
        elif tag == "textarea":
            fields[name] = ""
            self._area = name
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in fields):
            fields[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1].fields[self._area] += data.removeprefix("\n")
        else:
            self.words.append(data)


class Page:
    """An answer of the board, read as HTML."""

    def __init__(self, url: str, answer: TestResponse) -> None:
        self.url = url
        self.status = answer.status_code
        self.headers = answer.headers
        self.html = answer.text
        reader = _Reader()
        reader.feed(answer.text)
        self.forms = reader.forms
        self.tags = reader.tags
        self.text = re.sub(r"\s+", " ", " ".join(reader.words))

    def form(self, end: str = "", having: str = "") -> Form:
        """The form whose address ends so, and that has a field of this name."""
        return next(
            form
            for form in self.forms
            if form.action.endswith(end) and (not having or having in form.fields)
        )

    def links(self) -> Iterator[str]:
        for tag, given in self.tags:
            if tag == "a" and "href" in given:
                yield urljoin(self.url, given["href"])


class Recruiter:
    """A recruiter's browser without scripts."""

    def __init__(self, client: Client, base: str = "http://localhost") -> None:
        self.client = client
        self.base = base

    def get(self, path: str, **arguments: Any) -> Page:
        """Load a page, following redirects."""
        url = urljoin(self.base, path)
        answer = self.client.get(self._path(url), base_url=self.base, **arguments)
        return self._followed(url, answer)

    def send(self, page: Page, form: Form, **changes: Any) -> Page:
        """Send a form of a page with some of its fields changed, and follow to where it leads."""
        url = urljoin(page.url, form.action or page.url)
        # As browsers do it, where a field is a text of several lines.
        sent = {
            name: re.sub("\r?\n", "\r\n", value) if isinstance(value, str) else value
            for name, value in {**form.fields, **changes}.items()
        }
        answer = self.client.post(
            self._path(url),
            base_url=self.base,
            data=sent,
            content_type="multipart/form-data" if "file" in changes else None,
        )
        return self._followed(url, answer)

    def _followed(self, url: str, answer: TestResponse) -> Page:
        # As browsers do, and Werkzeug's client does not where a redirect is relative.
        while "Location" in answer.headers:
            assert answer.status_code == 303
            url = urljoin(url, answer.headers["Location"])
            assert url.startswith(f"{self.base}/")
            answer = self.client.get(self._path(url), base_url=self.base)
        return Page(url, answer)

    def _path(self, url: str) -> str:
        return url.removeprefix(self.base).partition("#")[0]

    def sign_in(self, key: str = KEY, path: str = "/board/sign_in") -> Page:
        page = self.get(path)
        return self.send(page, page.form(having="key"), key=key)


class Board:
    """A process with the board open, the recruiter's browser, and the API beside it."""

    def __init__(self, config: Config) -> None:
        self.app = create_app(config)
        client = self.app.test_client()
        self.recruiter = Recruiter(client)
        self.api: Api = over_flask(client)
        self.database: Database = service(self.app).database
        self.get = self.recruiter.get
        self.send = self.recruiter.send

    def version(self) -> str:
        answer = self.recruiter.client.get("/board/version")
        assert (answer.status_code, answer.text) == (204, "")
        return str(answer.headers["ETag"])
