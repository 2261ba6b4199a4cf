"""What browsers may do: CORS, and the headers that keep them safe."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from access.api_keys import hash_of
from api import ANA, Api
from app import create_app
from config import Config
from server import Gunicorn
from web.browser_headers import RESPONSE_HEADERS
from web.service import service

ORIGIN = "https://app.example.com"
KEYED = {"api_keys": (hash_of("key"),), "secret_key": ("s" * 32,)}
MakeApi = Callable[..., Api]


def preflight(api: Api, origin: str = ORIGIN, method: str = "POST") -> TestResponse:
    answer: TestResponse = api.raw(
        "OPTIONS",
        "/reply",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
        },
    )
    return answer


def test_a_page_of_a_named_origin_may_call(make_api: MakeApi) -> None:
    api = make_api(cors_origins=("https://other.example.com", ORIGIN), **KEYED)
    answer = preflight(api)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in answer.headers["Vary"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_page_may_use_every_method_that_an_endpoint_has(
    make_api: MakeApi, config: Config
) -> None:
    app = create_app(config)
    methods = {method for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    service(app).close()
    assert "PUT" in methods
    api = make_api(cors_origins=(ORIGIN,))
    for method in methods - {"HEAD", "OPTIONS"}:
        allowed = preflight(api, method=method).headers["Access-Control-Allow-Methods"]
        assert method in allowed.split(", ")


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example.com", "https://app.example.com.evil.com", "null", "*"),
        *("http://app.example.com", "https://app.example.com:8443", "https://appXexample.com"),
    ],
)
def test_a_page_of_another_origin_may_not(make_api: MakeApi, origin: str) -> None:
    api = make_api(cors_origins=(ORIGIN,))
    assert "Access-Control-Allow-Origin" not in preflight(api, origin).headers
    answer = api.raw("GET", f"/interview_status/{ANA.path}", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_by_default_no_page_may(api: Api) -> None:
    assert not any(name.startswith("Access-Control") for name, _ in preflight(api).headers)


@pytest.mark.parametrize(
    ("path", "arguments", "status"),
    [
        ("/reply", {"data": "{}"}, 401),
        ("/reply", {"data": "{", "headers": {"X-API-Key": "key"}}, 400),
        ("/reply", {"data": "x" * 2_000_000, "headers": {"X-API-Key": "key"}}, 413),
        ("/elsewhere", {}, 404),
    ],
)
def test_a_page_can_read_errors_too(
    make_api: MakeApi, path: str, arguments: dict[str, Any], status: int
) -> None:
    api = make_api(cors_origins=(ORIGIN,), **KEYED)
    headers = {"Origin": ORIGIN, **arguments.pop("headers", {})}
    answer = api.raw("POST", path, content_type="application/json", headers=headers, **arguments)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert sorted(exposed) == sorted(RESPONSE_HEADERS)


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/elsewhere", "/openapi.json", "/start_interview", "/reply"),
        *("/get_applicants/job", f"/get_messages/{ANA.path}"),
    ],
)
def test_every_response_keeps_browsers_safe(api: Api, path: str) -> None:
    answer = api.raw("GET", path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answer.headers


def forwarded(
    api: Api, address: str = "203.0.113.9", scheme: str = "https", path: str = "/healthz"
) -> TestResponse:
    headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": scheme}
    answer: TestResponse = api.raw("GET", path, headers=headers)
    return answer


def test_tls_in_front_of_a_trusted_proxy_is_answered_with_hsts(make_api: MakeApi) -> None:
    api = make_api(trusted_proxies=1)
    assert "max-age=" in forwarded(api).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in forwarded(api, scheme="http").headers
    assert "Strict-Transport-Security" not in forwarded(make_api()).headers


@pytest.mark.parametrize(
    ("hops", "header", "counted_together"),
    [
        # Without a proxy the header is the client's own, and counts for nothing.
        (0, ("1.1.1.1", "2.2.2.2"), True),
        # The last address is what the proxy has seen, those before it are the client's word.
        (1, ("6.6.6.6, 1.1.1.1", "7.7.7.7, 1.1.1.1"), True),
        (1, ("1.1.1.1", "2.2.2.2"), False),
        (2, ("1.1.1.1, 8.8.8.8", "2.2.2.2, 8.8.8.8"), False),
        (2, ("6.6.6.6, 1.1.1.1, 8.8.8.8", "7.7.7.7, 1.1.1.1, 9.9.9.9"), True),
    ],
)
def test_the_clients_address_is_what_the_outermost_trusted_proxy_saw(
    make_api: MakeApi, hops: int, header: tuple[str, str], counted_together: bool
) -> None:
    api = make_api(
        trusted_proxies=hops, rate_limits=True, limit_wrong_keys="1/minute", api_keys=(b"",)
    )
    for address, status in zip(header, (401, 429 if counted_together else 401), strict=True):
        headers = {"X-Forwarded-For": address, "X-API-Key": "wrong"}
        assert api.send("GET", "/get_applicants/job", headers=headers).status == status


def test_under_gunicorn_too_only_the_setting_says_whom_to_believe(
    make_server: Callable[..., Gunicorn],
) -> None:
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-For": "203.0.113.9",
        "Script-Name": "/reply",
    }
    for hops, has_hsts in (("0", False), ("1", True)):
        server = make_server(TRUSTED_PROXIES=hops).start()
        with server.api() as api:
            answer = api.raw("GET", "/healthz", headers=headers)
            assert answer.status_code == 200
            assert ("Strict-Transport-Security" in answer.headers) == has_hsts
        server.stop()


def test_debug_mode_cannot_be_on_under_gunicorn(make_server: Callable[..., Gunicorn]) -> None:
    server = make_server(FLASK_DEBUG="1", FLASK_ENV="development", DATABASE_LOCK_TIMEOUT="1")
    server.start()
    with server.api() as api:
        for path in ("/?__debugger__=yes&cmd=resource&f=debugger.js", "/console"):
            answer = api.raw("GET", path)
            assert answer.status_code == 404
            assert "Traceback" not in answer.text
            assert answer.headers["Content-Type"] == "application/json"
    log = server.log.read_text()
    assert "Debugger" not in log


def test_an_app_is_never_made_in_debug_mode(
    monkeypatch: pytest.MonkeyPatch, config: Config
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert not create_app(config).debug
