"""The API's description, openapi.yaml with the limits of this instance, and a page to try it on."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from flask import Blueprint, Response, send_from_directory
from werkzeug.exceptions import NotFound

from access.guard import everybody
from config import APP_FOLDER, Config
from web.service import service

openapi = Blueprint("openapi", __name__)

# The page loads its own script and Swagger UI's files, talks to this service, and no more.
# Swagger UI sets styles as it goes, and has pictures in its style sheet.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tukma AI Interviewer API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START_SCRIPT = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""
DOCS_ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})


@openapi.get("/openapi.json")
@everybody
def openapi_json() -> dict[str, Any]:
    """Answer with the description."""
    return description(service().config)


@openapi.get("/docs")
@everybody
def docs() -> Response:
    """Answer with the page."""
    return _docs_part(DOCS_PAGE, "text/html")


@openapi.get("/docs/<asset>")
@everybody
def docs_asset(asset: str) -> Response:
    """Answer with a file that the page loads."""
    if asset == "start.js":
        return _docs_part(START_SCRIPT, "text/javascript")
    if asset not in DOCS_ASSETS:
        raise NotFound
    return send_from_directory(str(files("flask_swagger_ui") / "dist"), asset)


def description(config: Config) -> dict[str, Any]:
    """Return the description with the limits that are set, and only what this instance has.

    Where a number is a setting, `x-setting` beside it names the setting.
    """
    document = deepcopy(_document())
    for part in _objects(document):
        if "x-setting" in part:
            part["maxLength"] = getattr(config, part["x-setting"].lower())
        if not config.api_keys:
            part.pop("security", None)
    if not config.metrics:
        del document["paths"]["/metrics"]
    return document


@cache
def _document() -> dict[str, Any]:
    # Read when somebody asks: it takes longer than all else at the start.
    document: dict[str, Any] = yaml.safe_load((APP_FOLDER / "openapi.yaml").read_text())
    return document


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Return every object in the document, from the outermost inwards."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from _objects(member)


def _docs_part(text: str, mimetype: str) -> Response:
    headers = {"Content-Security-Policy": DOCS_POLICY, "Cache-Control": "no-cache"}
    return Response(text, mimetype=mimetype, headers=headers)
