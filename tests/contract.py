"""openapi.yaml as a contract: what the tests see the app answer is held against it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from config import Config
from web.openapi import description

# With all that an instance can have.
DOCUMENT = description(Config(openai_api_key="any", api_keys=(b"any",), metrics=True))
METHODS = ("get", "post", "put", "delete")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation's method, path and description."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def described(method: str, path: str) -> str | None:
    """The described path that a request's path belongs to; None if the API has no such route."""
    # Here, as importing it makes an app of the environment, which not everybody has who comes here.
    from app import app

    try:
        rule, _ = app.url_map.bind("").match(
            unquote(path.partition("?")[0]), method, return_rule=True
        )
    except HTTPException:
        return None
    return None if is_of_a_page(rule) else path_of(rule)


def path_of(rule: Rule) -> str:
    """A route as it is described."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def is_of_a_page(rule: Rule) -> bool:
    """Whether a route is for people, and not of the API that is described."""
    return rule.endpoint.partition(".")[0] in ("board", "pages", "room", "welcome")


def routes(app: Flask) -> set[tuple[str, str]]:
    """Each method and route of an app, as they are described."""
    return {
        (method, path_of(rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the description, or what stands elsewhere in its place."""
    if "$ref" not in part:
        return part
    found: Any = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def response(method: str, path: str, status: int) -> dict[str, Any]:
    """The description of a response; it must be there."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} answers {status}, which is not described"
    return resolved(responses[str(status)])


@cache
def header_types(method: str, path: str, status: int) -> dict[str, tuple[bool, Any]]:
    """For each header of a response: whether it is a number, and what holds it to its schema."""
    described = response(method, path, status).get("headers", {})
    schemas = {name: resolved(header)["schema"] for name, header in described.items()}
    return {
        name: (schema["type"] == "integer", jsonschema_rs.validator_for(schema))
        for name, schema in schemas.items()
    }


@cache
def validator(method: str, path: str, status: int) -> Any:
    """What holds a body against its schema."""
    schema = response(method, path, status)["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**DOCUMENT, "allOf": [schema]})


def hold(method: str, path: str, status: int, body: Any, headers: Headers) -> None:
    """Hold an answer in JSON against the contract."""
    known = described(method, path)
    if known is None:
        assert status in (404, 405)
        return
    validator(method, known, status).validate(body)
    for name, (is_number, kind) in header_types(method, known, status).items():
        assert name in headers
        kind.validate(int(headers[name]) if is_number else headers[name])
