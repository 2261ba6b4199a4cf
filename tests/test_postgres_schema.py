"""The schema in PostgreSQL: who creates it, and what is refused and left alone."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from api import ANA, Api
from config import Config, StartError
from db import open_database
from postgresql import PostgresServer
from storage.postgres.schema import SCHEMA_VERSION
from storage.tables import TABLES, TABLES_OF_RECORDS, TABLES_OF_ROOMS


@pytest.fixture
def database_url(server: PostgresServer) -> Iterator[str]:
    """Every test here: a role without further rights, and a schema given by `search_path`."""
    with server.schema() as url:
        yield url


def test_many_may_migrate_at_once(config: Config, admin: psycopg.Connection) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_database(config), range(8)))
    version = admin.execute("SELECT version FROM schema_version").fetchall()
    assert version == [(SCHEMA_VERSION,)]


def test_a_migration_that_breaks_off_changes_nothing(
    config: Config, admin: psycopg.Connection
) -> None:
    admin.execute("CREATE TABLE token_revocations (anything TEXT)")
    with pytest.raises(StartError, match="another service"):
        open_database(config)
    tables = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    assert admin.execute(tables).fetchall() == [("token_revocations",)]
    admin.execute("DROP TABLE token_revocations")
    open_database(config)


def test_a_newer_schema_is_refused_and_left_alone(
    config: Config, admin: psycopg.Connection
) -> None:
    open_database(config)
    admin.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StartError, match="schema is 99"):
        open_database(config)
    assert admin.execute("SELECT version FROM schema_version").fetchone() == (99,)


def test_a_database_that_is_not_in_utf8_is_refused(
    config: Config, server: PostgresServer, make_api: Callable[..., Api]
) -> None:
    server.execute("CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0")
    try:
        with pytest.raises(StartError, match="UTF8"):
            make_api(database_url=server.admin_url.removesuffix("postgres") + "latin1")
    finally:
        server.execute("DROP DATABASE latin1 WITH (FORCE)")


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="there is no pg_dump")
def test_a_dump_brings_the_interviews_back_and_they_go_on(
    make_api: Callable[..., Api], server: PostgresServer, database_url: str
) -> None:
    api = make_api()
    api.start()
    api.reply("Hello", key="k")
    said = api.said()
    url = database_url.partition("?")[0]
    dump = subprocess.run(["pg_dump", "--no-owner", url], capture_output=True, check=True)
    server.execute("CREATE DATABASE restored OWNER tukma")
    try:
        restored = database_url.replace("/postgres?", "/restored?")
        psql = ["psql", "-q", "-v", "ON_ERROR_STOP=1", restored.partition("?")[0]]
        subprocess.run(psql, input=dump.stdout, check=True, stdout=subprocess.DEVNULL)
        api = make_api(database_url=restored)
        assert api.said() == said
        assert api.reply("Hello", key="k").status == 200
        assert api.said() == said
        assert api.reply("More").status == 200
        assert api.start(ANA.named("Mei")).status == 200
        applicants = api.get("/get_applicants/job-1").body["applicants"]
        assert [applicant["name"] for applicant in applicants] == [ANA.name, "Mei"]
    finally:
        server.execute("DROP DATABASE restored WITH (FORCE)")


def test_a_database_of_the_first_version_learns_of_all_that_came_later(
    config: Config, admin: psycopg.Connection, make_api: Callable[..., Api]
) -> None:
    assert make_api().start().status == 200
    for statement in (*TABLES, *TABLES_OF_ROOMS, *TABLES_OF_RECORDS):
        if name := re.search(r"CREATE TABLE (\w+)", statement):
            admin.execute(f"DROP TABLE {name[1]}")
    admin.execute("UPDATE schema_version SET version = 1")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: open_database(config), range(4)))
    assert admin.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
    for table in (
        *("positions", "rubrics", "scorecards", "scorecard_runs", "jobs"),
        *("invitations", "decisions"),
    ):
        assert admin.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    assert make_api().said()
