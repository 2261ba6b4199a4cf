"""What the tests share: a rehearsal interviewer, and the app in front of a fresh database.

A test marked `both_databases` runs on SQLite and on PostgreSQL, unless it asks for `database_path`,
which only a file has. All others run on SQLite. One marked `long` is begun before the others.

The tests may run in several processes at once: what a test starts, writes and counts is its own.
"""

import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

# Importing app.py makes an app of the environment; it must not touch a developer's own files.
os.environ["OPENAI_API_KEY"] = "key-of-the-environment"
os.environ["DATABASE_URL"] = f"sqlite:///{tempfile.mkdtemp()}/imported.db"
logging.disable()  # else each process of a run writes its log into the progress

from api import Api, over_flask
from app import create_app
from config import Config
from openai_api.rehearsal import Rehearsal
from postgresql import PostgresServer, server_url
from schemas import fresh_schema
from server import Gunicorn
from web.service import service

logging.disable(logging.NOTSET)

API_KEY = "sk-secret-of-the-tests"

# A shell ignores SIGINT for what it starts in the background, and the programs that tests start,
# and stop by it, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` is: two a processor, as tests wait half of their time."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, lest one of them goes on when all others have ended."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    rehearsal = Rehearsal().start()
    yield rehearsal
    rehearsal.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asks_for = metafunc.fixturenames
    is_marked = metafunc.definition.get_closest_marker("both_databases")
    if is_marked and "database_url" in asks_for and "database_path" not in asks_for:
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that does not exist yet, or is empty."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{path_in(tmp_path)}"
    else:
        with fresh_schema(server_url()) as url:
            yield url


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, for those who stop and starve it."""
    server = PostgresServer(max_connections="20")
    yield server
    server.remove()


@pytest.fixture
def admin(server: PostgresServer, database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the test's schema with every right."""
    options = database_url.partition("?")[2]
    with psycopg.connect(f"{server.admin_url}?{options}", autocommit=True) as connection:
        yield connection


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return path_in(tmp_path)


def path_in(folder: Path) -> Path:
    return folder / "folder" / "messages.db"


@pytest.fixture
def config(rehearsal: Rehearsal, database_url: str) -> Config:
    return Config(
        openai_api_key=API_KEY,
        openai_base_url=rehearsal.url,
        database_url=database_url,
        rate_limits=False,  # tests are faster than people
    )


@pytest.fixture
def make_api(config: Config) -> Iterator[Callable[..., Api]]:
    """Make the API with settings that differ; each call is a new process, as it were.

    One that `works` does background work as well.
    """
    apps = []

    def make(*, works: bool = False, **settings: Any) -> Api:
        app = create_app(Config(**{**vars(config), **settings}))
        apps.append(app)
        if works:
            service(app).worker.start()
        return over_flask(app.test_client())

    yield make
    for app in apps:
        service(app).close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture
def target(config: Config) -> Iterator[Config]:
    """The same settings with an empty PostgreSQL database, to import into."""
    with fresh_schema(server_url()) as url:
        yield replace(config, database_url=url)


@pytest.fixture
def on_target(target: Config, make_api: Callable[..., Api]) -> Callable[..., Api]:
    return lambda **settings: make_api(database_url=target.database_url, **settings)


@pytest.fixture
def make_server(config: Config, tmp_path: Path) -> Iterator[Callable[..., Gunicorn]]:
    servers = []

    def make(*arguments: str, **settings: str) -> Gunicorn:
        defaults = {
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": config.openai_base_url or "",
            "DATABASE_URL": config.database_url,
            "RATE_LIMITS": "off",
        }
        server = Gunicorn(tmp_path / "log", {**defaults, **settings}, *arguments)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()
