"""Who gets to the board: signing in and out, forged forms, and where it is open without a key."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from access.api_keys import hash_of
from access.board_sessions import KEY_DIGITS, LIFETIME, BoardCookies
from app import create_app
from boards import KEY, OTHER_KEY, SECRET_KEY, WITH_KEYS, Recruiter
from config import Config
from web.service import service

MakeRecruiter = Callable[..., Recruiter]
COOKIE = "board"


@pytest.fixture
def make(config: Config) -> Any:
    apps = []

    def make(**settings: Any) -> Recruiter:
        app = create_app(Config(**{**vars(config), **settings}))
        apps.append(app)
        base = "https://board.example.com" if settings.get("api_keys") else "http://localhost"
        return Recruiter(app.test_client(), base)

    yield make
    for app in apps:
        service(app).close()


def cookie(recruiter: Recruiter) -> Any:
    assert isinstance(recruiter.client, FlaskClient)
    return recruiter.client.get_cookie(COOKIE, "board.example.com", "/board")


def test_a_key_opens_the_board_until_one_signs_out(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    assert "Sign in to the board" in recruiter.get("/board").text
    page = recruiter.sign_in()
    assert page.url.endswith("/board")
    assert "There is no position yet" in page.text
    page = recruiter.send(page, page.form("sign_out"))
    assert "You have signed out." in page.text
    assert cookie(recruiter) is None or "Sign in" in recruiter.get("/board").text


def test_the_cookie_is_for_the_board_alone_and_no_script_reads_it(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    page = recruiter.get("/board/sign_in")
    answer = recruiter.client.post(
        "/board/sign_in",
        base_url=recruiter.base,
        data={**page.form(having="key").fields, "key": KEY},
    )
    (set_cookie,) = answer.headers.getlist("Set-Cookie")
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/board", "Expires="):
        assert part in set_cookie
    assert KEY not in set_cookie
    for path in ("/interview", "/healthz", "/"):
        answer = recruiter.client.get(path, base_url=recruiter.base)
        assert "Set-Cookie" not in answer.headers


def test_over_plain_http_the_cookie_is_sent_back(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    recruiter.base = "http://board.example.com"
    assert "There is no position yet" in recruiter.sign_in().text


def test_a_session_holds_no_key_and_nothing_of_before(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    recruiter.get("/board/sign_in")
    before = read(recruiter)
    recruiter.sign_in()
    after = read(recruiter)
    assert set(before) == {"csrf_token"}
    assert before["csrf_token"] != after["csrf_token"]
    assert after["key"] == hash_of(KEY).hex()[:KEY_DIGITS]
    assert set(after) == {"_permanent", "key", "since", "csrf_token"}


def read(recruiter: Recruiter) -> dict[str, Any]:
    app = recruiter.client.application
    serializer = BoardCookies().get_signing_serializer(app)  # type: ignore[arg-type]
    assert serializer is not None
    value: dict[str, Any] = serializer.loads(cookie(recruiter).value)
    return value


@pytest.mark.parametrize(
    "session",
    [
        {"key": hash_of(KEY).hex()[:KEY_DIGITS], "since": int(time.time()) - LIFETIME},
        {"key": hash_of("gone").hex()[:KEY_DIGITS], "since": int(time.time())},
        {"key": "", "since": int(time.time())},
        {"since": int(time.time())},
        {"key": hash_of(KEY).hex()[:KEY_DIGITS]},
        {"key": hash_of(KEY).hex()[:KEY_DIGITS], "since": "now"},
        {"key": [hash_of(KEY).hex()[:KEY_DIGITS]], "since": int(time.time())},
    ],
)
def test_a_session_that_has_ended_or_is_none_opens_nothing(
    make: MakeRecruiter, session: dict[str, Any]
) -> None:
    recruiter = make(**WITH_KEYS)
    put(recruiter, BoardCookies(), session)
    assert "Sign in to the board" in recruiter.get("/board").text


def put(
    recruiter: Recruiter, signing: SecureCookieSessionInterface, session: dict[str, Any]
) -> None:
    app = recruiter.client.application
    serializer = signing.get_signing_serializer(app)  # type: ignore[arg-type]
    assert serializer is not None
    assert isinstance(recruiter.client, FlaskClient)
    recruiter.client.set_cookie(
        COOKIE, serializer.dumps(session), domain="board.example.com", path="/board"
    )


def test_what_is_signed_for_something_else_is_no_session(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    session = {"key": hash_of(KEY).hex()[:KEY_DIGITS], "since": int(time.time())}
    put(recruiter, SecureCookieSessionInterface(), session)
    assert "Sign in to the board" in recruiter.get("/board").text
    put(recruiter, BoardCookies(), session)
    assert "There is no position yet" in recruiter.get("/board").text


def test_a_key_that_is_taken_out_ends_its_sessions_and_no_others(make: MakeRecruiter) -> None:
    for key, opens in ((KEY, False), (OTHER_KEY, True)):
        recruiter = make(**WITH_KEYS)
        recruiter.sign_in(key)
        value = cookie(recruiter).value
        later = make(api_keys=(hash_of(OTHER_KEY),), secret_key=(SECRET_KEY,))
        assert isinstance(later.client, FlaskClient)
        later.client.set_cookie(COOKIE, value, domain="board.example.com", path="/board")
        assert ("There is no position yet" in later.get("/board").text) == opens


def test_a_secret_that_is_retired_still_opens_sessions(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    recruiter.sign_in()
    value = cookie(recruiter).value
    for secrets, opens in ((("n" * 40, SECRET_KEY), True), (("n" * 40,), False)):
        later = make(api_keys=WITH_KEYS["api_keys"], secret_key=secrets)
        assert isinstance(later.client, FlaskClient)
        later.client.set_cookie(COOKIE, value, domain="board.example.com", path="/board")
        assert ("There is no position yet" in later.get("/board").text) == opens


@pytest.mark.parametrize(
    "key", ["", "wrong", KEY.upper(), hash_of(KEY).hex(), "é", "\0", "x" * 4000]
)
def test_what_is_no_key_is_refused_at_the_field(make: MakeRecruiter, key: str) -> None:
    recruiter = make(**WITH_KEYS)
    page = recruiter.sign_in(key)
    assert page.status == 401
    assert "not one of the service's API keys" in page.html.replace("&#39;", "'")
    assert not key or key not in page.html
    assert "Sign in to the board" in recruiter.get("/board").text


def test_wrong_keys_are_limited_by_address_and_a_right_one_passes(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS, rate_limits=True, limit_wrong_keys="3/minute")
    assert [recruiter.sign_in("wrong").status for _ in range(4)] == [401, 401, 401, 429]
    # Wrong keys of the API count with them.
    answer = recruiter.client.get("/positions", headers={"X-API-Key": "wrong"})
    assert answer.status_code == 429
    assert recruiter.sign_in().status == 200


@pytest.mark.parametrize("path", ["/board/sign_in", "/board/sign_out", "/board/new_position"])
@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_a_form_that_no_page_of_this_session_has_shown_does_nothing(
    make: MakeRecruiter, path: str, token: str | None
) -> None:
    recruiter = make(**WITH_KEYS)
    recruiter.sign_in()
    fields = {"key": KEY, "title": "Forged"}
    if token == "of another session":
        other = Recruiter(recruiter.client.application.test_client(), recruiter.base)  # type: ignore[attr-defined]
        token = other.get("/board/sign_in").form(having="key").fields["csrf_token"]
    if token is not None:
        fields["csrf_token"] = token
    answer = recruiter.client.post(path, base_url=recruiter.base, data=fields)
    assert answer.status_code == 400
    assert "nothing was stored" in answer.text
    assert "There is no position yet" in recruiter.get("/board").text


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/board/positions/a?q=x", "/board/positions/a?q=x"),
        ("/board", "/board"),
        ("https://evil.example", "/board"),
        ("//evil.example", "/board"),
        ("/\\evil.example", "/board"),
        ("/boardgames", "/board"),
        ("/board//evil.example", "/board"),
        ("/board/../../evil", "/board"),
        ("/board\nLocation: x", "/board"),
        ("javascript:alert(1)", "/board"),
        ("/positions", "/board"),
        ("", "/board"),
    ],
)
def test_signing_in_leads_to_pages_of_the_board_only(
    make: MakeRecruiter, asked: str, led: str
) -> None:
    recruiter = make(**WITH_KEYS)
    page = recruiter.sign_in(path=f"/board/sign_in?next={quote(asked, safe='')}")
    assert page.url.removeprefix(recruiter.base) == led


def test_who_asks_for_a_page_gets_there_by_signing_in(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    page = recruiter.get("/board/new_position?x=1")
    page = recruiter.send(page, page.form(having="key"), key=KEY)
    assert page.url.endswith("/board/new_position?x=1")


@pytest.mark.parametrize(
    ("base", "headers", "address", "opens"),
    [
        ("http://localhost:5000", {}, "127.0.0.1", True),
        ("http://127.0.0.1:5000", {}, "127.0.0.1", True),
        ("http://[::1]:5000", {}, "::1", True),
        ("http://localhost", {}, "::ffff:127.0.0.1", True),
        ("http://localhost", {}, "192.0.2.1", False),
        ("http://localhost", {}, "", False),
        ("http://evil.example", {}, "127.0.0.1", False),
        ("http://localhost.evil.example", {}, "127.0.0.1", False),
        ("http://127.0.0.1.evil.example", {}, "127.0.0.1", False),
        ("http://localhost", {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", False),
        ("http://localhost", {"Forwarded": "for=127.0.0.1"}, "127.0.0.1", False),
    ],
)
def test_without_keys_it_is_open_on_the_services_own_machine_only(
    make: MakeRecruiter, base: str, headers: dict[str, str], address: str, opens: bool
) -> None:
    recruiter = make()
    for path in ("/board", "/board/sign_in"):
        answer = recruiter.client.get(
            path,
            base_url=base,
            headers=headers,
            environ_overrides={"REMOTE_ADDR": address},
            follow_redirects=False,
        )
        assert answer.status_code == (403 if not opens else 200 if path == "/board" else 303)
        assert ("Set API_KEYS" in answer.text) == (not opens)


def test_with_keys_and_no_secret_key_it_says_what_it_needs(make: MakeRecruiter) -> None:
    recruiter = make(api_keys=WITH_KEYS["api_keys"])
    for path in ("/board", "/board/sign_in"):
        page = recruiter.get(path)
        assert page.status == 403
        assert "SECRET_KEY" in page.text


def test_behind_a_proxy_that_takes_off_a_prefix_links_and_cookies_keep_it(
    make: MakeRecruiter,
) -> None:
    recruiter = make(**WITH_KEYS, public_url="https://jobs.example.com/ai")
    answer = recruiter.client.get("/board/new_position", base_url=recruiter.base)
    assert answer.headers["Location"].startswith("../board/sign_in?next=")
    answer = recruiter.client.get("/board/sign_in", base_url=recruiter.base)
    assert "Path=/ai/board" in answer.headers["Set-Cookie"]
    assert 'href="../static/' in answer.text


def test_with_the_pages_off_there_is_no_board(make: MakeRecruiter) -> None:
    recruiter = make(pages=False)
    for path in ("/board", "/board/sign_in", "/", "/interview", "/try"):
        answer = recruiter.client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.mimetype) == (404, "application/json")


def test_every_page_keeps_out_of_frames_and_caches(make: MakeRecruiter) -> None:
    recruiter = make(**WITH_KEYS)
    pages = [recruiter.get("/board"), recruiter.sign_in(), recruiter.get("/board/interviews/1")]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
    assert pages[-1].status == 404
    assert pages[-1].headers["Content-Type"].startswith("text/html")
