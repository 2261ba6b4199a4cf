"""Hostile input: whatever is sent is answered in JSON, without 5xx, and changes no interview."""

import gzip
import itertools
import json
import re
import socket
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from hashlib import sha256
from http.client import HTTPResponse
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from werkzeug.datastructures import Headers

from access.api_keys import hash_of
from api import ANA, PROMPT, Answer, Api, Applicant
from config import Config
from db import InterviewKey
from openai_api.rehearsal import SCRIPT, Rehearsal
from server import Gunicorn
from storage.sqlite.driver import sqlite3
from web.bodies import bytes_for
from web.openapi import description

pytestmark = pytest.mark.both_databases

KEY = "a-recruiters-key-that-nobody-guesses"
SECRET = "s" * 43
WITH_KEYS = {"api_keys": (hash_of(KEY),), "secret_key": (SECRET,)}

MALLORY = ANA.named("Mallory")
JSON = {"Content-Type": "application/json"}
MEGABYTE = 1_048_576  # as much as a body may have

# For each endpoint a body that is in order, for the attacks to spoil. If it were taken, a start
# would show as an applicant beside the bystander, and all else in the bystander's own interview.
BODIES: dict[str, dict[str, Any]] = {
    "/start_interview": {**MALLORY.fields, "prompt": PROMPT},
    "/reply": {**ANA.fields, "message": "Hello"},
    "/applicant_token": {**ANA.fields, "expiresIn": 60},
    "/revoke_applicant_token": ANA.fields,
}
READS = ("/get_messages/", "/interview_status/", "/get_applicants/", "/finished_interviews/")
SERVICE = ("/healthz", "/readyz", "/openapi.json", "/docs", "/docs/start.js")
# What reading an interview, or an access key, that nobody knows is answered with.
NOTHING: tuple[dict[str, Any], ...] = (
    {"messages": [], "message_count": 0},
    {"status": "uninitiated"},
    {"applicants": []},
    {"finished_interviews": []},
)


@dataclass(frozen=True)
class Attack:
    """A request, and the statuses that it may be answered with: 200 only if nothing is found."""

    name: str
    method: str
    target: str
    statuses: tuple[int, ...]
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: JSON)

    def over(self, api: Api) -> None:
        """Send it by the client and look at the answer."""
        arguments: dict[str, Any] = {"data": self.body} if self.body else {}
        self.look_at(api.send(self.method, self.target, headers=self.headers, **arguments))

    def raw(self) -> bytes:
        """The request as it goes over the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: interviews.example"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["Connection: close", f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    def look_at(self, answer: Answer) -> None:
        if answer.status == 200 and self.method == "GET":
            assert any(nothing.items() <= answer.body.items() for nothing in NOTHING), self
        else:
            assert list(answer.body) in (["error"], ["message"]), self
        assert answer.status in self.statuses, (self, answer)
        assert "Traceback" not in str(answer.body)

    def __str__(self) -> str:
        return f"{self.name}: {self.method} {self.target[:60]}"


def largest(path: str) -> int:
    """Bytes of a body of the endpoint at most."""
    texts = {"/start_interview": 100_000, "/reply": 10_000}
    return min(MEGABYTE, bytes_for(3 * 320 + texts.get(path, 0)))


def post(name: str, path: str, body: bytes, *statuses: int, **headers: str) -> Attack:
    """A POST that is refused with these statuses, or with the usual one."""
    statuses = statuses or ((413,) if len(body) > largest(path) else (400,))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Attack(name, "POST", path, statuses, body, {**JSON, **named})


# --- The list ---


NO_TEXTS: dict[str, Any] = {
    "null": None,
    "empty": "",
    "blank": " \t\r\n\x1c\x85\u2028\u3000",
    "an integer": 5,
    "zero": 0,
    "a negative": -1,
    "a fraction": 1.5,
    "true": True,
    "false": False,
    "a large integer": 10**4000,
    "a list": ["Ana"],
    "an empty list": [],
    "a list in lists": json.loads("[" * 400 + "]" * 400),
    "an object": {"$ne": ""},
    "an empty object": {},
    "NUL": "\0",
    "NUL within": "Ana\0María",
    "half a character": "Ana \ud83d",
    "the other half": "\ude00 Ana",
    "halves the wrong way round": "\ude00\ud83d",
    "too many characters": "a" * 100_001,
    "too many bytes": "é" * 100_001,
}
NO_LIFETIMES: dict[str, Any] = {
    "text": "60",
    "zero": 0,
    "a negative": -60,
    "a fraction": 60.5,
    "too long": 30 * 86_400 + 1,
    "an endless integer": 10**4000,
    "a huge float": 1e308,
    "true": True,
    "a list": [60],
    "an object": {},
}


def wrong_fields() -> Iterator[Attack]:
    for path, body in BODIES.items():
        for name in body:
            values = NO_LIFETIMES if name == "expiresIn" else NO_TEXTS
            for what, value in values.items():
                hostile = json.dumps({**body, name: value}).encode()
                yield post(f"{name} is {what}", path, hostile)
            without = {other: value for other, value in body.items() if other != name}
            if name != "expiresIn":
                yield post(f"{name} is missing", path, json.dumps(without).encode())
            megabytes = json.dumps({**body, name: "a" * 3 * MEGABYTE}).encode()
            yield post(f"{name} has megabytes", path, megabytes, 413)
        for name in ("accessKey", "name", "email"):
            # Broken UTF-8 in a URL becomes this.
            hostile = json.dumps({**body, name: "Ana \ufffd"}).encode()
            yield post(f"{name} has U+FFFD", path, hostile)
        if path in ("/start_interview", "/applicant_token"):
            for name, value in itertools.product(("accessKey", "name", "email"), (".", "..")):
                hostile = json.dumps({**body, name: value}).encode()
                yield post(f"{name} is taken out of URLs", path, hostile)
            for name, value in itertools.product(("accessKey", "email"), ("a/b", "/", "../a")):
                hostile = json.dumps({**body, name: value}).encode()
                yield post(f"{name} has a slash", path, hostile)
            too_long = dict.fromkeys(("accessKey", "name", "email"), "💣" * 320)
            yield post("longer than a URL", path, json.dumps({**body, **too_long}).encode())


def broken_bodies() -> Iterator[Attack]:
    for path, fields in BODIES.items():
        body = json.dumps(fields).encode()
        inside = body[:-1]  # where an object goes on
        name = json.dumps(fields["name"]).encode()
        with_name = partial(body.replace, name)

        for what, sent in {
            "nothing": b"",
            "white space": b" \r\n\t",
            "half of it": body[: len(body) // 2],
            "all but the end": inside,
            "twice": body * 2,
            "something behind it": body + b"x",
            "a list": b"[" + body + b"]",
            "a string": json.dumps(body.decode()).encode(),
            "null": b"null",
            "true": b"true",
            "a number": b"5",
            "single quotes": body.replace(b'"', b"'"),
            "a comma too many": inside + b",}",
            "a comment": inside + b"/* Hello */}",
            "a form": b"accessKey=job-1&name=Ana&email=a@b&message=Hello&prompt=Hello",
            "XML": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            "pickle": b"cos\nsystem\n(S'true'\ntR.",
            "a line break in a string": with_name(b'"Ana\nMaria"'),
            "NUL in a string": with_name(b'"Ana\0Maria"'),
            "NUL behind it": body + b"\0",
            "an escape that is none": with_name(rb'"\x41na"'),
            "half an escape": with_name(rb'"\u00"'),
            "a byte that is not UTF-8": with_name(b'"Ana \xff"'),
            "an overlong NUL": with_name(b'"Ana \xc0\x80"'),
            "a surrogate in UTF-8": with_name(b'"Ana \xed\xa0\x80"'),
            "a cut character": with_name(b'"Ana \xf0\x9f\x92"'),
            "Latin-1": with_name('"Ana María"'.encode("latin-1")),
            "UTF-16": body.decode().encode("utf-16"),
            "UTF-16 LE": body.decode().encode("utf-16-le"),
            "UTF-32": body.decode().encode("utf-32"),
            "two byte order marks": b"\xef\xbb\xbf" * 2 + body,
            "UTF-7": b"+AHsAfQ-",
            "100,000 lists": b"[" * 100_000,
            "100,000 lists, closed": b"[" * 100_000 + b"]" * 100_000,
            "100,000 objects": b'{"a":' * 100_000,
            "100,000 objects, closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            "100,000 lists in a field": with_name(b"[" * 100_000 + b"]" * 100_000),
            "100,000 lists beside": inside + b',"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "a name twice": inside + b',"name":' + name + b"}",
            "a name twice, escaped": inside + rb',"n\u0061me":' + name + b"}",
            "a name twice, deep in": inside + b',"a":[{"b":1,"b":2}]}',
        }.items():
            yield post(what, path, sent)
        for number in (
            *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"01", b"+1", b".5", b"0x10"),
            b"9" * 100_000,
            b"-" + b"9" * 100_000,
        ):
            yield post(f"name is {number[:9]!r}", path, with_name(number))
            yield post(f"{number[:9]!r} beside", path, inside + b',"a":[' + number + b"]}")

        yield post("a body of megabytes", path, b" " * 8 * MEGABYTE + body, 413)
        bomb = gzip.compress(b" " * 64 * MEGABYTE + body)
        for coding in (
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate",
            "br",
            "zstd",
            "identity, gzip",
            "x",
            "",
        ):
            yield post("coded", path, gzip.compress(body), 415, Content_Encoding=coding)
            yield post("said to be coded", path, body, 415, Content_Encoding=coding)
        yield post("a bomb", path, bomb, 415, Content_Encoding="gzip")
        yield post("gzip that is not said to be", path, gzip.compress(body))
        yield post("deflated", path, zlib.compress(body))
        for kind in (
            *("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""),
            *("text/json", "application/json, text/html", "multipart/form-data; boundary=x", "*/*"),
            *("application/xml", "application/json-seq", "; charset=utf-8", "a" * 5000),
        ):
            yield post("of another type", path, body, 415, Content_Type=kind)
        said = "application/json; charset=utf-16"
        yield post("UTF-16, as is said", path, body.decode().encode("utf-16"), Content_Type=said)


def wrong_methods() -> Iterator[Attack]:
    methods = ("TRACE", "PUT", "DELETE", "PATCH", "FOO", "PROPFIND", "CONNECT", "BREW", "GETS")
    reads = [f"{path}job-1" for path in READS[2:]] + [f"{path}{ANA.path}" for path in READS[:2]]
    for path in (*BODIES, *reads, *SERVICE, "/", "/nope"):
        wrong = "GET" if path in BODIES else "POST"
        for method in (*methods, wrong):
            body = json.dumps(BODIES.get(path, BODIES["/reply"])).encode()
            yield Attack("a wrong method", method, path, (404, 405), body)


# As parts of paths, percent-encoded as they stand.
TRICKS = (
    *("%00", "Ana%00", "%FF", "%C0%80", "%ED%A0%80", "%EF%BF%BD", "%F0%9F%92", "Ana%FFMar"),
    *(".", "..", "%2e%2e", "%2E%2E%2F", "..%2f..%2fapp.py", "....%2F%2F", "..%5c..", "%252e%252e"),
    *("%2F", "%2f%2f", "job-1%2F", "%2Fjob-1", "job-1%2FAna", "%5C", "%252F", "%25", "%", "%zz"),
    *("%0d%0aSet-Cookie:%20a=b", "%0A", "%0D", "%0d%0a%0d%0a", "%09", "%20", "%E2%80%A8", "%85"),
    *(
        "'",
        "%27%20OR%20%271%27=%271",
        "%27%3B%20DROP%20TABLE%20messages%3B--",
        "%22",
        "%60",
        "%25%25",
    ),
    "%27%20UNION%20SELECT%20content%2Crole%2Cname%20FROM%20messages--",
    "%27%20UNION%20ALL%20SELECT%20name%2Cemail%2C1%20FROM%20messages--",
    *("*", "%3F", "%23", "_", "job-_", "job%25", "JOB-1", "job-1%20", "job-1%00", "j%C3%B6b-1"),
    *("%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%7B%7B7*7%7D%7D", "$%7Bjndi:ldap://x%7D", "~", "-"),
    *("null", "undefined", "None", "0", "-1", "NaN", "__proto__", "constructor", "%F0%9F%92%A3"),
    *("a" * 2000, "%F0%9F%92%A3" * 160, "%00" * 600, "%2F" * 600, "..%2F" * 400),
)


def tricky_paths() -> Iterator[Attack]:
    for trick in TRICKS:
        for read in READS[2:]:
            yield Attack("an access key", "GET", read + trick, (200, 400, 404))
        for read in READS[:2]:
            for parts in ((trick, "Ana", "a@b"), ("job-1", trick, "a@b"), ("job-1", "Ana", trick)):
                yield Attack("a name", "GET", read + "/".join(parts), (200, 400, 404))
        yield Attack("a file", "GET", f"/docs/{trick}", (404,))
        yield Attack("a path", "GET", f"/{trick}", (404,))
        yield Attack("a post", "POST", f"/reply/{trick}", (404, 405), b"{}")
    for path in (
        "/REPLY",
        "/reply/",
        "/reply%00",
        "/reply%20",
        "/reply%0a",
        "/reply;a=b",
        "/replY",
    ):
        yield post("almost a path", path, json.dumps(BODIES["/reply"]).encode(), 404)
    for path in (
        *("/get_messages", "/get_messages/", "/get_messages/job-1", "/get_messages/job-1/"),
        *("/get_messages/job-1/Ana", "/get_messages//Ana/a@b", "/get_messages/job-1/Ana/"),
        *(
            "/get_messages/job-1//",
            "/get_applicants/",
            "/get_applicants/job-1/",
            "/docs/",
            "/app.py",
        ),
        *(
            "/docs/messages.db",
            "/.env",
            "/.git/config",
            "/messages.db",
            "/static/app.py",
            "/docs//",
        ),
    ):
        yield Attack("no path", "GET", path, (404,))


def bad_idempotency_keys() -> Iterator[Attack]:
    for path in ("/start_interview", "/reply"):
        body = json.dumps(BODIES[path]).encode()
        for key in ("", "k" * 256, "k" * 8000, "é" * 256, "' OR 1=1--" * 26):
            yield post("an Idempotency-Key", path, body, Idempotency_Key=key)


GROUPS = {
    group.__name__: group
    for group in (wrong_fields, broken_bodies, wrong_methods, tricky_paths, bad_idempotency_keys)
}


def all_attacks() -> Iterator[Attack]:
    return itertools.chain.from_iterable(group() for group in GROUPS.values())


# --- The bystander ---


Rows = Callable[[], list[Any]]


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    """What returns everything that is in the database."""
    is_sqlite = database_url.startswith("sqlite")
    connections: list[Any] = []

    def connection() -> Any:
        """Return the one connection; the database must be there when it is first used."""
        if not connections and is_sqlite:
            path = database_url.removeprefix("sqlite:///")
            connections.append(sqlite3.connect(path, isolation_level=None))
        elif not connections:
            connections.append(psycopg.connect(database_url, autocommit=True))
        return connections[0]

    def everything() -> list[Any]:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        if is_sqlite:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        # The trail has what the tests themselves do by the way, and links it by itself.
        what = {
            "audit_events": "actor, action, subject FROM audit_events"
            " WHERE action NOT IN ('transcript.read', 'token.issued')",
            "audit_heads": "1",
            "sqlite_sequence": "* FROM sqlite_sequence WHERE name <> 'audit_events'",
        }
        return [
            connection()
            .execute(f"SELECT {what.get(table, f'* FROM {table}')} ORDER BY 1")
            .fetchall()
            for (table,) in connection().execute(tables).fetchall()
        ]

    yield everything
    for one in connections:
        one.close()


class Bystander:
    """Ana, whose interview is under way, and stays as it is."""

    def __init__(self, api: Api, rows: Rows) -> None:
        self._api = api
        self._rows = rows
        assert api.start().status == 200
        assert api.reply("I have worked in intensive care for eight years.").status == 200
        self._before = self._now()
        assert len(self._before[0]) == 4

    def is_as_before(self, after: object) -> None:
        assert self._now() == self._before, after

    def _now(self) -> tuple[Any, ...]:
        return (
            self._api.messages(),
            self._api.status(),
            self._api.get("/get_applicants/job-1").body,
            self._api.get("/finished_interviews/job-1").body,
            self._rows(),
        )


def with_key(api: Api) -> Api:
    """The API as who has the key calls it."""

    def send(method: str, path: str, **arguments: Any) -> Answer:
        headers = {**arguments.pop("headers", {}), "X-API-Key": KEY}
        return api.send(method, path, headers=headers, **arguments)

    return Api(send, api.raw)


@pytest.mark.long
@pytest.mark.parametrize("instance", [{}, WITH_KEYS], ids=["open", "with keys"])
@pytest.mark.parametrize("group", GROUPS)
def test_whatever_is_sent_is_refused_in_json_and_changes_nothing(
    make_api: Callable[..., Api],
    rehearsal: Rehearsal,
    rows: Rows,
    group: str,
    instance: dict[str, Any],
) -> None:
    api = make_api(**instance)
    if instance:
        api = with_key(api)
    bystander = Bystander(api, rows)
    asked = len(rehearsal.requests)
    for attack in GROUPS[group]():
        attack.over(api)
        bystander.is_as_before(attack)
    assert len(rehearsal.requests) == asked
    assert api.reply("Hello").body == {"system": SCRIPT[2]}


# --- Through gunicorn ---

CHUNKED = b"Transfer-Encoding: chunked\r\n"
ENDLESS = 2_000_000


def no_post(headers: bytes, body: bytes = b"{}", line: bytes = b"POST /reply HTTP/1.1") -> bytes:
    return line + b"\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + b"\r\n" + body


def no_get(
    target: bytes, headers: bytes = b"Host: x\r\n", line: bytes = b"GET %b HTTP/1.1"
) -> bytes:
    return line % target + b"\r\n" + headers + b"\r\n"


NO_HTTP: dict[str, tuple[int, bytes]] = {
    # No request line, or one that is none.
    "empty lines": (400, b"\r\n\r\n\r\n"),
    "one word": (400, b"GET\r\n\r\n"),
    "two words": (400, b"GET /\r\n\r\n"),
    "four words": (400, b"GET / / HTTP/1.1\r\n\r\n"),
    "tabs": (400, b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    "no version": (400, no_get(b"/", line=b"GET %b HTTP/")),
    "version 9": (400, no_get(b"/", line=b"GET %b HTTP/9.9")),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "another protocol": (400, b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "TLS": (400, bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" * 60 + b"\r\n\r\n"),
    "a proxy's line": (400, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + no_get(b"/")),
    "NULs": (400, b"\0" * 500 + b"\r\n\r\n"),
    "bytes": (400, bytes(range(128, 256)) * 4 + b"\r\n\r\n"),
    "line feeds": (400, b"GET / HTTP/1.1\nHost: x\n\n"),
    "a small method": (400, no_get(b"/", line=b"get %b HTTP/1.1")),
    "an odd method": (400, no_get(b"/", line=b"G@T %b HTTP/1.1")),
    "a giant method": (400, no_get(b"/", line=b"G" * 5000 + b" %b HTTP/1.1")),
    # Odd targets.
    "no slash": (400, no_get(b"reply")),
    "a star": (400, no_get(b"*")),
    "a URL": (404, no_get(b"http://elsewhere.example/nope")),
    "a URL that is none": (400, no_get(b"http://[::1/nope")),
    "two slashes": (404, no_get(b"//elsewhere.example/nope")),
    "two slashes and a bracket": (404, no_get(b"//[/nope")),
    "many slashes": (404, no_get(b"/" * 4000)),
    "an authority": (404, no_get(b"elsewhere.example:443", line=b"CONNECT %b HTTP/1.1")),
    "all options": (404, no_get(b"*", line=b"OPTIONS %b HTTP/1.1")),
    "a raw NUL": (400, no_get(b"/get_applicants/\0")),
    "a raw control character": (400, no_get(b"/get_applicants/\x01")),
    "raw bytes": (400, no_get(b"/get_applicants/\xff\xfe")),
    "raw UTF-8": (400, no_get("/get_applicants/ñ".encode())),
    "a space": (400, no_get(b"/get_applicants/Ana Maria")),
    "a way up": (404, no_get(b"/docs/../../../../etc/passwd")),
    "a backslash": (404, no_get(b"\\docs\\..\\app.py".replace(b"\\", b"/\\", 1))),
    "a giant URL": (414, no_get(b"/get_applicants/" + b"a" * 100_000)),
    "a URL of a byte too much": (414, no_get(b"/get_applicants/" + b"a" * 8200)),
    "a URL without an end": (414, b"GET /get_applicants/" + b"a" * ENDLESS),
    "a giant query": (414, no_get(b"/get_applicants/job-1?" + b"a=b&" * 10_000)),
    # Headers.
    "two hosts": (400, no_get(b"/", b"Host: a\r\nHost: b\r\n")),
    "NUL in a host": (400, no_get(b"/", b"Host: a\0b\r\n")),
    "no colon": (400, no_post(b"nonsense\r\n")),
    "no name": (400, no_post(b": a\r\n")),
    "a space in a name": (400, no_post(b"X A: b\r\n")),
    "a space behind a name": (400, no_post(b"X-A : b\r\n")),
    "a byte in a name": (400, no_post(b"X-\xff: b\r\n")),
    "a folded header": (400, no_post(b"X-A: b\r\n c\r\n")),
    "NUL in a header": (400, no_post(b"X-A: b\0c\r\n")),
    "a return in a header": (400, no_post(b"X-A: b\rX-B: c\r\n")),
    "NUL in an Idempotency-Key": (400, no_post(b"Idempotency-Key: a\0b\r\n")),
    "a giant header": (431, no_get(b"/", b"X-A: " + b"a" * 100_000 + b"\r\n")),
    "a giant name": (431, no_get(b"/", b"X-" + b"a" * 100_000 + b": b\r\n")),
    "a giant Idempotency-Key": (431, no_post(b"Idempotency-Key: " + b"k" * 100_000 + b"\r\n")),
    "a giant credential": (431, no_post(b"Authorization: Bearer " + b"k" * 100_000 + b"\r\n")),
    "too many headers": (431, no_get(b"/", b"X-A: b\r\n" * 101)),
    "a header without an end": (431, b"GET / HTTP/1.1\r\nX-A: " + b"a" * ENDLESS),
    "headers without an end": (431, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 200_000),
    "an expectation": (417, no_post(b"Expect: the-unexpected\r\nContent-Length: 2\r\n")),
    "a web socket": (400, no_post(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"")),
    # How long the body is.
    "two lengths": (400, no_post(b"Content-Length: 2\r\nContent-Length: 3\r\n")),
    "a list of lengths": (400, no_post(b"Content-Length: 2, 2\r\n")),
    "no length": (400, no_post(b"Content-Length: \r\n")),
    "a negative length": (400, no_post(b"Content-Length: -2\r\n")),
    "a length with a sign": (400, no_post(b"Content-Length: +2\r\n")),
    "a length of another script": (400, no_post("Content-Length: ٢\r\n".encode())),
    "a hexadecimal length": (400, no_post(b"Content-Length: 0x2\r\n")),
    "an endless length": (400, no_post(b"Content-Length: " + b"9" * 5000 + b"\r\n")),
    "a huge length": (413, no_post(b"Content-Length: 1" + b"0" * 30 + b"\r\n")),
    "a length and chunks": (400, no_post(b"Content-Length: 2\r\n" + CHUNKED)),
    "a body without a length": (400, no_post(b"")),
    "less than its length": (408, no_post(b"Content-Length: 500\r\n", b'{"accessKey": "job-1"}')),
    "two encodings": (400, no_post(CHUNKED + b"Transfer-Encoding: identity\r\n")),
    "chunked twice": (400, no_post(b"Transfer-Encoding: chunked, chunked\r\n")),
    "an unknown encoding": (400, no_post(b"Transfer-Encoding: xchunked\r\n")),
    "no encoding": (400, no_post(b"Transfer-Encoding: \r\n")),
    "gzip": (400, no_post(b"Transfer-Encoding: gzip\r\n")),
    "gzip in chunks": (
        415,
        no_post(b"Transfer-Encoding: gzip, chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    ),
    "a hidden encoding": (400, no_post(b"Transfer-Encoding: \x0bchunked\r\n")),
    "chunks before their time": (400, no_post(CHUNKED, line=b"POST /reply HTTP/1.0")),
    # Chunks.
    "a chunk of no size": (400, no_post(CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n")),
    "a chunk of negative size": (400, no_post(CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n")),
    "a chunk of odd size": (400, no_post(CHUNKED, b"0x2\r\n{}\r\n0\r\n\r\n")),
    "a chunk of huge size": (408, no_post(CHUNKED, b"F" * 16 + b"\r\n{}\r\n0\r\n\r\n")),
    "a chunk of endless size": (400, no_post(CHUNKED, b"1" * ENDLESS)),
    "a chunk without an end": (400, no_post(CHUNKED, b"2\r\n{}0\r\n\r\n")),
    "half a chunk": (408, no_post(CHUNKED, b"50\r\n{}")),
    "no chunk": (400, no_post(CHUNKED, b"\r\n\r\n")),
    "line feeds around a chunk": (408, no_post(CHUNKED, b"2\n{}\n0\n\n")),
    "an endless extension": (400, no_post(CHUNKED, b"2;" + b"a" * ENDLESS)),
    "a trailer that is none": (400, no_post(CHUNKED, b"2\r\n{}\r\n0\r\nnonsense\r\n\r\n")),
    "an endless trailer": (400, no_post(CHUNKED, b"2\r\n{}\r\n0\r\nX-A: " + b"a" * ENDLESS)),
    "too many bytes in chunks": (
        413,
        no_post(CHUNKED, (b"10000\r\n%b\r\n" % (b" " * 65_536)) * 40),
    ),
    "too many bytes in small chunks": (
        413,
        no_post(CHUNKED, b"10\r\n%b\r\n" % (b" " * 16) * 99_999),
    ),
    "a blank body in tiny chunks": (400, no_post(CHUNKED, b"1\r\n \r\n" * 50_000 + b"0\r\n\r\n")),
}


def exchange(server: Gunicorn, sent: bytes) -> Answer:
    """Send the bytes, end, and read the answer; it must be whole, and JSON."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        with suppress(OSError):  # it has heard enough
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        response = HTTPResponse(client)
        response.begin()
        body = response.read()
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    return Answer(response.status, json.loads(body), Headers(response.getheaders()))


def memory(process: int, figure: str) -> int:
    """Bytes that the process has (VmRSS), or had at most (VmHWM)."""
    (kilobytes,) = re.findall(rf"{figure}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(kilobytes) * 1024


ONE_PROCESS = {"WEB_CONCURRENCY": "1", "WORKER_THREADS": "8", "MAX_MODEL_CALLS": "4"}


@pytest.mark.long
def test_the_real_server_refuses_it_all_in_bounded_memory(
    make_server: Callable[..., Gunicorn],
    rehearsal: Rehearsal,
    rows: Rows,
    database_path: Path,  # on SQLite alone: what reaches the database does so in the tests above
) -> None:
    server = make_server(**ONE_PROCESS).start()
    with server.api() as api:
        bystander = Bystander(api, rows)
        (worker,) = server.workers()
        before = memory(worker, "VmRSS")
        for attack in all_attacks():
            attack.look_at(exchange(server, attack.raw()))
            bystander.is_as_before(attack)
        for name, (status, sent) in NO_HTTP.items():
            answer = exchange(server, sent)
            assert answer.status == status, (name, answer)
            assert list(answer.body) == ["error"], name
            bystander.is_as_before(name)
        assert server.workers() == [worker]
        # Less than the bomb would take, or what the larger bodies have together.
        assert memory(worker, "VmHWM") - before < 50 * MEGABYTE
        assert api.reply("Hello").body == {"system": SCRIPT[2]}
    assert len(rehearsal.requests) == 3
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "María" not in log


@pytest.mark.parametrize("size", [MEGABYTE - 100, 130_000])
def test_many_bodies_of_small_values_at_once_take_little_memory(
    make_server: Callable[..., Gunicorn],
    database_path: Path,  # on SQLite alone: none of it reaches the database
    size: int,
) -> None:
    clients = 60
    threads = {"WEB_CONCURRENCY": "1", "WORKER_THREADS": str(clients + 4)}
    server = make_server(**threads, API_KEYS=KEY, SECRET_KEY=SECRET).start()
    with server.api() as api:
        token, _ = tokens_of(with_key(api))
    body = b"[" + b"{}," * (size // 3 - 1) + b"{}]"
    headers = {**JSON, "Authorization": f"Bearer {token}"}
    sent = post("small values", "/reply", body, **headers)
    together = Barrier(clients)
    (worker,) = server.workers()
    before = memory(worker, "VmRSS")

    def attack(_: int) -> None:
        together.wait()
        sent.look_at(exchange(server, sent.raw()))

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(attack, range(clients)))
    # What was built of them would take a hundred megabytes and more.
    assert memory(worker, "VmHWM") - before < 30 * MEGABYTE


# --- Credentials ---


def wrong_credentials(token: str, other: str) -> dict[str, str]:
    """Credentials made from two true tokens, and from nothing."""
    payload, _, signature = token.rpartition(".")
    bomb = urlsafe_b64encode(zlib.compress(b"[" + b" " * 64 * MEGABYTE)).decode().strip("=")
    signer = {"digest_method": sha256, "key_derivation": "hmac"}
    forge = partial(URLSafeSerializer, signer_kwargs=signer)
    ana = InterviewKey(ANA.access_key, ANA.name, ANA.email)
    opened = [ana.digest(), 0, 4_000_000_000]
    return {
        "nothing": "",
        "a blank": " ",
        "a word": "key",
        "almost the key": KEY[:-1],
        "more than the key": KEY + "x",
        "the key in another case": KEY.upper(),
        "the key's hash": f"sha256:{hash_of(KEY).hex()}",
        "the secret": SECRET,
        "quotes": f'"{KEY}"',
        "a list": f"{KEY}, {KEY}",
        "another scheme": f"Bearer {KEY}",
        "SQL": "' OR '1'='1",
        "Latin-1": "\xff\xfe" * 20,
        "dots": "." * 100,
        "two dots": "..",
        "a dot": ".",
        "100,000 characters": "k" * 100_000,
        "100,000 dots": "." * 100_000,
        "100,000 bytes": "\xff" * 100_000,
        "a token without its signature": payload,
        "a token with an empty signature": f"{payload}.",
        "a token's signature": signature,
        "half a token": token[: len(token) // 2],
        "two tokens": f"{token}.{other}",
        "a token and more": f"{token}.x",
        "a token with another's signature": f"{payload}.{other.rpartition('.')[2]}",
        "a token that is not compressed": f"{payload.lstrip('.')}.{signature}",
        "a token in another case": token.swapcase(),
        "a token of another secret": forge("another", salt="applicant-token").dumps(opened),
        "a token of another salt": forge(SECRET, salt="itsdangerous").dumps(opened),
        "a bomb": f".{bomb[:7000]}.{signature}",
        "a whole bomb": f".{bomb}.{signature}",
        "no base64": f".{'*' * 100}.{signature}",
        "no JSON": f"{urlsafe_b64encode(bytes(30)).decode()}.{signature}",
        "a JSON Web Token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZWNydWl0ZXIifQ.",
    }


def break_ins(token: str, other: str) -> Iterator[Attack]:
    requests = [("POST", path, json.dumps(body).encode()) for path, body in BODIES.items()]
    requests += [("GET", path + ANA.path, b"") for path in READS[:2]]
    requests += [("GET", f"{path}job-1", b"") for path in READS[2:]]
    # A header that is too long is refused before anyone looks who it is.
    for what, credential in wrong_credentials(token, other).items():
        statuses = (401, 431) if len(credential) > 8000 else (401,)
        for method, path, body in requests:
            for name, value in (
                ("Authorization", f"Bearer {credential}"),
                ("X-API-Key", credential),
            ):
                yield Attack(what, method, path, statuses, body, {**JSON, name: value})
    for way in ("Bearer", "bearer", "Basic", "Digest", "", "Bearer:", f"Basic {KEY}", KEY, token):
        for method, path, body in requests:
            yield Attack("no scheme", method, path, (401,), body, {**JSON, "Authorization": way})


def tokens_of(api: Api) -> tuple[str, str]:
    """Tokens for the bystander and for someone else."""
    issued = [api.post("/applicant_token", person.fields) for person in (ANA, MALLORY)]
    return issued[0].body["token"], issued[1].body["token"]


def test_what_is_no_key_and_no_token_opens_nothing(
    make_api: Callable[..., Api], rehearsal: Rehearsal, rows: Rows
) -> None:
    api = make_api(**WITH_KEYS)
    bystander = Bystander(with_key(api), rows)
    for attack in break_ins(*tokens_of(with_key(api))):
        attack.over(api)
        bystander.is_as_before(attack)
    assert len(rehearsal.requests) == 2


def test_the_real_server_lets_nobody_in_without_a_key(
    make_server: Callable[..., Gunicorn],
    rehearsal: Rehearsal,
    rows: Rows,
    database_path: Path,  # on SQLite alone: what reaches the database does so in the tests above
) -> None:
    server = make_server(**ONE_PROCESS, API_KEYS=KEY, SECRET_KEY=SECRET).start()
    with server.api() as open_api:
        api = with_key(open_api)
        bystander = Bystander(api, rows)
        tokens = tokens_of(api)
        (worker,) = server.workers()
        before = memory(worker, "VmRSS")
        for attack in break_ins(*tokens):
            attack.look_at(exchange(server, attack.raw()))
            bystander.is_as_before(attack)
        assert server.workers() == [worker]
        assert memory(worker, "VmHWM") - before < 50 * MEGABYTE
        assert not any(token in server.log.read_text() for token in (*tokens, KEY, SECRET))
    assert len(rehearsal.requests) == 2


def test_a_token_opens_nothing_else_whatever_the_path(
    make_api: Callable[..., Api], rows: Rows
) -> None:
    api = make_api(**WITH_KEYS)
    bystander = Bystander(with_key(api), rows)
    _, token = tokens_of(with_key(api))
    headers = {**JSON, "Authorization": f"Bearer {token}"}
    for attack in tricky_paths():
        replace(attack, statuses=(400, 403, 404, 405), headers=headers).over(api)
    bystander.is_as_before(token)


# --- What looks hostile, and is somebody's name ---

TEXTS = (
    *(
        "'; DROP TABLE messages; --",
        "' OR '1'='1",
        "' UNION SELECT content FROM messages --",
        '"',
        "`",
    ),
    *(
        "a/../b",
        "../../etc/passwd",
        "..\\..\\windows",
        "...",
        "%00",
        "%2F",
        "%2e%2e",
        "%",
        "?a=b#c",
    ),
    *(
        "Ana\r\nSet-Cookie: a=b",
        "a\nb",
        "\t\x01\x1b[2J\x7f\x9f",
        " Ana ",
        "a\u2028b",
        "+",
        "&",
        "a;b",
    ),
    *("<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "=cmd|' /C calc'!A1", "%s%n{0}"),
    *(
        "null",
        "undefined",
        "None",
        "NaN",
        "0",
        "-1",
        "true",
        "[]",
        "{}",
        "__proto__",
        "*",
        "_",
        "x%",
    ),
    *(
        "\u202eevil",
        "\ufeffAna",
        "\u200bAna",
        "Zoë",
        "Zoe\u0308",
        "ANA",
        "ﬁ",
        "İ",
        "ß",
        "\U0010ffff",
    ),
    *("\ufffe", "👩🏽‍⚕️", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔", "a" * 320, "é" * 320, "💣" * 320),
)


def keep_whatever_is_legitimate(api: Api) -> None:
    """Let people with such names be interviewed, and read it all again."""
    people = [Applicant(name=text) for text in TEXTS]
    people += [Applicant(email=text) for text in TEXTS if "/" not in text]
    people += [Applicant(access_key=text) for text in TEXTS if "/" not in text]
    for person, text in zip(people, itertools.cycle(TEXTS), strict=False):
        assert api.start(person, prompt=text).status == 200
        assert api.reply(text, person).status == 200
    for person, text in zip(people, itertools.cycle(TEXTS), strict=False):
        assert api.said(person) == [text, SCRIPT[0], text, SCRIPT[1]]
        assert api.get(f"/get_messages/{person.path}").body["access_key"] == person.access_key
    for access_key, listed in itertools.groupby(people, lambda person: person.access_key):
        found = api.get(f"/get_applicants/{quote(access_key, safe='')}").body["applicants"]
        assert [(one["name"], one["email"]) for one in found] == [
            (person.name, person.email) for person in listed
        ]


def test_what_looks_hostile_may_be_a_name_and_is_kept_as_it_is(api: Api) -> None:
    keep_whatever_is_legitimate(api)


def test_the_real_server_keeps_such_names_as_they_are(make_server: Callable[..., Gunicorn]) -> None:
    with make_server().start().api() as api:
        keep_whatever_is_legitimate(api)


# --- Any JSON at all ---

# Small, so that they are reached.
SMALL = {"max_key_chars": 12, "max_prompt_chars": 24, "max_message_chars": 24}
ANY: dict[str, Any] = {"openai_api_key": "any", **SMALL}
DOCUMENT = description(Config(**ANY))

# What our rules, or somebody's software, take for something else.
ODD = "\0\t\n\x1c\x1f \x85\xa0\u2028\u3000\u200b\ufeff\ufffd\ufffe\ud800\udfff./\\%?#&+'\"<é💣"

characters = st.characters() | st.sampled_from(ODD)
blanks = st.text(" \t\x1c\x85\u2028\u3000\u200b\ufeff", max_size=3)
texts = st.text(characters, max_size=26) | blanks | st.sampled_from((".", "..", "/", "./.", "..."))
plain_texts = st.text("AnaéMÍ'+@", min_size=1, max_size=12)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda children: st.lists(children) | st.dictionaries(texts, children),
    max_leaves=8,
)
values = plain_texts | texts | anything


@st.composite
def bodies(draw: st.DrawFn, *names: str) -> dict[str, Any]:
    """Objects with these names, most in order, some with anything in them, too few or too many."""
    body = draw(st.dictionaries(texts, anything, max_size=2))
    for name in names:
        body[name] = draw(draw(st.sampled_from((*[plain_texts] * 6, texts, values))))
    body.pop(draw(st.sampled_from((*names, *[""] * 20))), None)
    return body


def on_the_wire(value: Any) -> Any:
    """What JSON makes of it: two halves that follow one another become a character."""
    return json.loads(json.dumps(value))


def is_as_described(body: Any, schema: str) -> bool:
    """Tell whether openapi.yaml takes the body for such a one."""
    is_valid: bool = validator(schema).is_valid(without_halves(body))
    return is_valid


def without_halves(value: Any) -> Any:
    """JSON Schema does not know halves of characters; in their stead is what is no string."""
    if isinstance(value, str):
        return None if any("\ud800" <= character <= "\udfff" for character in value) else value
    if isinstance(value, list):
        return [without_halves(member) for member in value]
    if isinstance(value, dict):
        members = ((without_halves(name), member) for name, member in value.items())
        return {name: without_halves(member) for name, member in members if name is not None}
    return value


@cache
def validator(schema: str) -> Any:
    return jsonschema_rs.validator_for({**DOCUMENT, "$ref": f"#/components/schemas/{schema}"})


@pytest.fixture
def small(make_api: Callable[..., Api]) -> Api:
    return make_api(**SMALL)


reproducible = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    # Interviews stay from one example to the next, and each asks whether its own is there.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@reproducible
@given(path=st.sampled_from(["/start_interview", "/reply"]), body=anything.map(on_the_wire))
def test_any_json_is_refused_unless_it_is_as_described(
    small: Api, rehearsal: Rehearsal, rows: Rows, path: str, body: Any
) -> None:
    before = rows()
    answer = small.post(path, body)
    assert (answer.status, list(answer.body)) == (400, ["error"])
    assert rows() == before
    assert not rehearsal.requests


@reproducible
@given(body=bodies("accessKey", "name", "email", "prompt").map(on_the_wire))
def test_a_start_is_taken_if_it_is_as_described_and_otherwise_leaves_nothing(
    small: Api, rehearsal: Rehearsal, rows: Rows, body: dict[str, Any]
) -> None:
    rehearsal.requests.clear()
    before = rows()
    if not is_as_described(body, "Start"):
        answer = small.post("/start_interview", body)
        assert (answer.status, list(answer.body)) == (400, ["error"])
        assert (rows(), len(rehearsal.requests)) == (before, 0)
        return
    applicant = Applicant(body["accessKey"], body["name"], body["email"])
    if small.status(applicant) == "uninitiated":
        answer = small.post("/start_interview", body)
        assert (answer.status, answer.body["system"]) == (200, SCRIPT[0])
        assert small.said(applicant) == [body["prompt"], SCRIPT[0]]
        before = rows()
    again = small.post("/start_interview", body)
    assert (again.status, list(again.body)) == (400, ["message"])
    assert rows() == before


@reproducible
@given(body=bodies("accessKey", "name", "email", "message").map(on_the_wire))
def test_a_reply_to_nobodys_interview_leaves_nothing(
    small: Api, rehearsal: Rehearsal, rows: Rows, body: dict[str, Any]
) -> None:
    before = rows()
    answer = small.post("/reply", body)
    assert answer.status == (404 if is_as_described(body, "Reply") else 400)
    assert (rows(), len(rehearsal.requests)) == (before, 0)


numbers = itertools.count()


@reproducible
@given(messages=st.lists(values.map(on_the_wire), min_size=1, max_size=4))
def test_replies_are_kept_as_they_are_in_turn_and_refused_ones_are_not(
    small: Api, rehearsal: Rehearsal, messages: list[Any]
) -> None:
    applicant = Applicant(f"job {next(numbers)}", "Ana/é", "a+b@c")
    assert small.start(applicant, prompt="Hello").status == 200
    said = ["Hello", SCRIPT[0]]
    for message in messages:
        rehearsal.requests.clear()
        body = {**applicant.fields, "message": message}
        answer = small.post("/reply", body)
        if is_as_described(body, "Reply"):
            assert answer.status == 200
            said += [message, answer.body["system"]]
            assert rehearsal.requests[-1]["messages"][-1]["content"] == message
        else:
            assert (answer.status, len(rehearsal.requests)) == (400, 0)
        assert small.said(applicant) == said
