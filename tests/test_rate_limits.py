"""How much there may be: counted in memory, in a real Redis, and while that is gone."""

import io
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import randrange
from typing import Any
from uuid import uuid4

import pytest

from access.api_keys import hash_of
from access.rate_limits import network_of
from api import ANA, PROMPT, Answer, Api, Applicant
from openai_api.rehearsal import Rehearsal
from server import Gunicorn, free_port

REDIS_URL = os.environ.get("TEST_REDIS_URL")
KEY = "a-recruiters-key"
AUTHORIZED = {"X-API-Key": KEY}
WITH_KEYS: dict[str, Any] = {"api_keys": (hash_of(KEY),), "secret_key": ("s" * 32,)}
MakeApi = Callable[..., Api]


@pytest.fixture(params=["memory", "redis"])
def counted(request: pytest.FixtureRequest, make_api: MakeApi) -> MakeApi:
    """Make the API with limits, counted here or there."""
    if request.param == "redis" and REDIS_URL is None:
        pytest.skip("TEST_REDIS_URL is not set")
    url = REDIS_URL if request.param == "redis" else None
    return lambda **settings: make_api(rate_limits=True, redis_url=url, **settings)


@pytest.fixture
def ana() -> Applicant:
    """An applicant whom no earlier test has counted."""
    return Applicant(f"job-{uuid4()}")


def assert_limited(answer: Answer, limit: int, subject: str) -> None:
    assert answer.status == 429
    assert subject in answer.body["error"]
    headers = answer.headers
    assert headers["RateLimit-Limit"] == str(limit)
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["RateLimit-Reset"] == headers["Retry-After"]
    assert 1 <= int(headers["Retry-After"]) <= 60


def test_replies_are_limited_in_each_interview(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_replies="3/minute")
    for applicant in (ana, ana.named("Mei")):
        assert api.start(applicant).status == 200
        for number in range(3):
            assert api.reply(f"Answer {number}", applicant).status == 200
        before = api.messages(applicant)
        assert_limited(api.reply("One more", applicant), 3, "replies in this interview")
        assert api.messages(applicant) == before


def test_what_an_applicant_stores_beside_messages_is_limited_together(
    counted: MakeApi, ana: Applicant
) -> None:
    api = counted(limit_records="3/minute")
    mei = ana.named("Mei")
    position = {"title": "Nurse", "prompt": PROMPT}
    assert api.raw("PUT", f"/positions/{ana.access_key}", json=position).status_code == 200
    note = {**ana.fields, "message_id": 3, "note": "x"}
    assert api.post("/consent", {**ana.fields, "version": 1}).status == 200
    assert api.post("/another_way", ana.fields).status == 200
    assert api.post("/correct_message", note).status == 404  # nothing was said yet
    for path, body in (
        ("/consent", {**ana.fields, "version": 1}),
        ("/another_way", ana.fields),
        ("/correct_message", note),
    ):
        assert_limited(api.post(path, body), 3, "requests of this applicant")
    assert api.post("/another_way", mei.fields).status == 200
    assert api.start(ana).status == 200  # which has a limit of its own


def test_starts_are_limited_under_each_access_key(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_starts="2/minute")
    assert [api.start(ana.named(name)).status for name in "ab"] == [200, 200]
    assert_limited(api.start(ana.named("c")), 2, "starts under this access key")
    assert api.status(ana.named("c")) == "uninitiated"
    assert api.start(Applicant(f"{ana.access_key}-2")).status == 200


def test_tokens_are_limited_under_each_access_key(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_tokens="2/minute", api_keys=(hash_of(KEY),), secret_key=("s" * 32,))

    def issue(applicant: Applicant) -> Answer:
        return api.send(
            "POST",
            "/applicant_token",
            json=applicant.fields,
            headers={"X-API-Key": KEY},
        )

    assert [issue(ana).status for _ in range(2)] == [200, 200]
    assert_limited(issue(ana), 2, "tokens under this access key")
    assert issue(Applicant(f"{ana.access_key}-2")).status == 200


@pytest.mark.parametrize("path", ["/score_interview", "/draft_rubric"])
def test_what_costs_calls_to_rate_is_limited_under_each_access_key(
    counted: MakeApi, ana: Applicant, path: str
) -> None:
    api = counted(limit_scores="2/minute")
    assert [api.post(path, ana.fields).status for _ in range(2)] == [404, 404]
    assert_limited(api.post(path, ana.fields), 2, "scorecards or drafts under this access key")
    assert api.post(path, Applicant(f"{ana.access_key}-2").fields).status == 404


def test_wrong_keys_are_limited_by_address_and_right_ones_never(counted: MakeApi) -> None:
    api = counted(limit_wrong_keys="2/minute", api_keys=(hash_of(KEY),), trusted_proxies=1)
    site = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}"

    def get(key: str | None, address: str = f"{site}::1") -> Answer:
        headers = {"X-Forwarded-For": f"198.51.100.1, {address}"}
        if key:
            headers["X-API-Key"] = key
        return api.send("GET", "/get_applicants/job", headers=headers)

    assert [get(f"wrong {number}").status for number in range(2)] == [401, 401]
    assert_limited(get("wrong again"), 2, "wrong keys from this address")
    assert get(KEY).status == 200
    assert get(None).status == 401  # that is no guess
    # Whoever has one address of IPv6 has the other 2^64 of its network, too.
    assert_limited(get("wrong", f"{site}:1:2:3:4"), 2, "wrong keys from this address")
    for other in (f"2001:db8:{uuid4().hex[:4]}::1", f"not an address {uuid4()}"):
        assert get("wrong", other).status == 401


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5678", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:5678", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::1]:80", "2001:db8::/64"),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_clients_network_is_the_same_however_its_address_is_written(
    address: str, network: str
) -> None:
    assert network_of(address) == network


def test_an_address_that_is_none_is_a_network_of_its_own() -> None:
    odd = ("", "unknown", "_hidden", "1.2.3.4.5:80", "[]:80", "[none]:80", "192.0.2.256", "::g")
    networks = {network_of(address) for address in odd}
    assert len(networks) == len(odd)
    assert not any(address and address in network for address in odd for network in networks)


def test_clients_behind_a_proxy_are_counted_each_by_itself(counted: MakeApi) -> None:
    api = counted(limit_wrong_keys="2/minute", api_keys=(hash_of(KEY),), trusted_proxies=1)
    one, other = (f"198.18.{randrange(256)}.{randrange(256)}" for _ in range(2))

    def guess(address: str) -> int:
        headers = {"X-Forwarded-For": address, "X-API-Key": "wrong"}
        return api.send("GET", "/get_applicants/job", headers=headers).status

    assert [guess(f"::ffff:{one}") for _ in range(3)] == [401, 401, 429]
    assert guess(f"::ffff:{other}") == 401
    # A proxy may write the port, which is another for each connection.
    assert [guess(f"{one}:{port}") for port in (5678, 5679)] == [429, 429]
    assert [guess(f"{other}:{port}") for port in (5678, 5679)] == [401, 429]


def from_address(api: Api, address: str, path: str, body: object, **headers: str) -> Answer:
    return api.send("POST", path, json=body, headers={"X-Forwarded-For": address, **headers})


def any_address() -> str:
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


def test_bad_requests_are_limited_by_address_and_good_ones_never(
    counted: MakeApi, ana: Applicant
) -> None:
    api = counted(limit_bad_requests="3/minute", trusted_proxies=1)
    address = any_address()
    start = {**ana.fields, "prompt": PROMPT}
    assert from_address(api, address, "/start_interview", start).status == 200
    # A second start is refused with 400, but it makes sense: a page may ask again and again.
    for _ in range(5):
        assert from_address(api, address, "/start_interview", start).status == 400
    bad: list[object] = [{}, [], {**ana.fields, "message": 5}]
    assert [from_address(api, address, "/reply", body).status for body in bad] == [400] * 3
    assert_limited(from_address(api, address, "/reply", {}), 3, "Too many bad requests.")
    path = "/get_applicants/%00"
    answer = api.send("GET", path, headers={"X-Forwarded-For": address})
    assert_limited(answer, 3, "Too many bad requests.")
    good = {**ana.fields, "message": "Hello"}
    assert from_address(api, address, "/reply", good).status == 200
    assert from_address(api, any_address(), "/reply", {}).status == 400


def test_bad_requests_with_a_key_are_not_counted(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_bad_requests="1/minute", trusted_proxies=1, **WITH_KEYS)
    address = any_address()
    statuses = [from_address(api, address, "/reply", {}, **AUTHORIZED).status for _ in range(4)]
    assert statuses == [400] * 4


def test_bad_requests_with_a_token_stop_its_holder_before_the_body_is_read_and_nobody_else(
    counted: MakeApi, ana: Applicant
) -> None:
    api = counted(limit_bad_requests="2/minute", trusted_proxies=1, **WITH_KEYS)
    address = any_address()
    mei = ana.named("Mei")
    tokens = {}
    for person in (ana, mei):
        start = {**person.fields, "prompt": PROMPT}
        assert from_address(api, address, "/start_interview", start, **AUTHORIZED).status == 200
        issued = from_address(api, address, "/applicant_token", person.fields, **AUTHORIZED)
        tokens[person] = {"Authorization": f"Bearer {issued.body['token']}"}
    assert [from_address(api, address, "/reply", [], **tokens[ana]).status for _ in "ab"] == [
        400
    ] * 2
    # Wherever the token is used.
    answer = from_address(api, any_address(), "/reply", [], **tokens[ana])
    assert_limited(answer, 2, "Too many bad requests.")
    stopped = api.raw(
        "POST",
        "/reply",
        headers={**tokens[ana], "Content-Type": "application/json"},
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "100"},
    )
    assert stopped.status_code == 429
    path = f"/get_messages/{ana.path}"
    assert api.send("GET", path, headers=tokens[ana]).status == 200
    good = {**mei.fields, "message": "Hello"}
    assert from_address(api, address, "/reply", good, **tokens[mei]).status == 200


class Unread(io.RawIOBase):
    """A body that must not be read."""

    def readinto(self, _: Any) -> int:
        raise AssertionError("The body was read.")


def test_an_expired_token_is_no_wrong_key(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_wrong_keys="1/minute", api_keys=(hash_of(KEY),), secret_key=("s" * 32,))
    answer = api.send(
        "POST",
        "/applicant_token",
        json={**ana.fields, "expiresIn": 1},
        headers={"X-API-Key": KEY},
    )
    time.sleep(1.1)
    headers = {"Authorization": f"Bearer {answer.body['token']}"}
    path = f"/interview_status/{ana.path}"
    assert {api.send("GET", path, headers=headers).status for _ in range(5)} == {401}


def test_a_limit_ends_with_its_time(counted: MakeApi, ana: Applicant) -> None:
    api = counted(limit_starts="1/second")
    assert api.start(ana).status == 200
    answer = api.start(ana.named("b"))
    if answer.status == 429:  # else a slow machine has let the second pass
        time.sleep(int(answer.headers["Retry-After"]) + 0.1)
        answer = api.start(ana.named("b"))
    assert answer.status == 200


def test_bad_input_and_reading_count_for_no_reply_and_no_start(
    counted: MakeApi, ana: Applicant
) -> None:
    api = counted(limit_replies="1/minute", limit_starts="1/minute")
    for _ in range(3):
        assert api.start(ana, prompt=" ").status == 400
        assert api.reply("x" * 20_000, ana).status == 400
        assert api.status(ana) == "uninitiated"
    assert api.start(ana).status == 200
    for _ in range(3):
        assert len(api.messages(ana)) == 2
    assert api.reply("Hello", ana).status == 200


def test_the_defaults_let_people_work_and_stop_a_script(counted: MakeApi, ana: Applicant) -> None:
    api = counted(closing_phrase="never said")
    assert api.start(ana).status == 200
    statuses = [api.reply(f"Answer {number}", ana).status for number in range(21)]
    assert statuses == [200] * 20 + [429]


def test_without_limits_nothing_is_counted(make_api: MakeApi, ana: Applicant) -> None:
    api = make_api(rate_limits=False, limit_replies="1/minute")
    api.start(ana)
    assert {api.reply(f"Answer {number}", ana).status for number in range(4)} == {200}


def test_names_do_not_reach_redis_nor_the_log(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server() as (url, _):
        api = make_api(rate_limits=True, redis_url=url, limit_replies="1/minute")
        api.start()
        assert [api.reply("a").status, api.reply("b").status] == [200, 429]
        keys = redis_cli(url, "KEYS", "*")
    assert keys.count("LIMITS") == 2
    for value in ANA.fields.values():
        assert value not in keys
        assert value not in caplog.text


def redis_cli(url: str, *arguments: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-u", url, *arguments], capture_output=True, check=True, text=True
    )
    return done.stdout


@contextmanager
def redis_server(port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A Redis of one's own, which can be stopped."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server")
    port = port or free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        url = f"redis://127.0.0.1:{port}/0"
        while subprocess.run(["redis-cli", "-u", url, "PING"], capture_output=True).returncode:
            time.sleep(0.02)
        try:
            yield url, process
        finally:
            process.kill()


def test_redis_counts_for_all_processes(make_server: Callable[..., Gunicorn]) -> None:
    with redis_server() as (url, _):
        server = make_server(
            RATE_LIMITS="on", REDIS_URL=url, LIMIT_STARTS="10/minute", WEB_CONCURRENCY="3"
        ).start()
        with ThreadPoolExecutor(8) as pool:

            def start(number: int) -> int:
                with server.api() as api:
                    return api.start(ANA.named(f"Ana {number}")).status

            statuses = list(pool.map(start, range(30)))
    assert sorted(statuses) == [200] * 10 + [429] * 20


def test_while_redis_is_gone_memory_counts_and_nothing_fails(
    make_api: MakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with redis_server(port) as (url, _):
        api = make_api(rate_limits=True, redis_url=url, limit_starts="2/minute")
        assert [api.start(ANA.named(name)).status for name in "ab"] == [200, 200]
        assert_limited(api.start(ANA.named("c")), 2, "starts")
    # It is gone now, and what it has counted with it.
    assert [api.start(ANA.named(name)).status for name in "de"] == [200, 200]
    assert_limited(api.start(ANA.named("f")), 2, "starts")
    assert "rate limits are counted in memory" in caplog.text
    with redis_server(port):
        mei = Applicant("job-3")
        deadline = time.monotonic() + 30
        while "Redis is back" not in caplog.text and time.monotonic() < deadline:
            api.reply("Is it back?", mei)
            time.sleep(0.1)
        assert [api.start(mei.named(name)).status for name in "abc"] == [200, 200, 429]
        assert "starts" in redis_cli(url, "KEYS", "*")


def test_a_redis_that_hangs_fails_nobody(make_api: MakeApi) -> None:
    with redis_server() as (url, process):
        api = make_api(rate_limits=True, redis_url=url)
        assert api.start().status == 200
        process.send_signal(signal.SIGSTOP)
        # All of them find out at the same moment.
        with ThreadPoolExecutor(20) as pool:
            answers = pool.map(lambda name: api.start(ANA.named(f"Ana {name}")), range(20))
            assert {answer.status for answer in answers} == {200}
        process.send_signal(signal.SIGCONT)


def test_the_service_starts_without_its_redis(
    make_server: Callable[..., Gunicorn], rehearsal: Rehearsal
) -> None:
    server = make_server(RATE_LIMITS="on", REDIS_URL=f"redis://127.0.0.1:{free_port()}").start()
    with server.api() as api:
        assert api.start().status == 200
        assert api.reply("Hello").status == 200
    assert "rate limits are counted in memory" in server.log.read_text()


def test_the_service_starts_with_a_redis_password_and_does_not_show_it(
    make_server: Callable[..., Gunicorn],
) -> None:
    url = f"redis://:a-secret-word@127.0.0.1:{free_port()}"
    server = make_server(RATE_LIMITS="on", REDIS_URL=url).start()
    with server.api() as api:
        assert api.start(prompt=PROMPT).status == 200
    assert "a-secret-word" not in server.log.read_text()
