"""Invitations and decisions of an SQLite file in PostgreSQL."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from api import Api
from commands.import_sqlite import Imported, import_file
from commands.importing.errors import ImportingError
from config import Config
from storage.sqlite.driver import sqlite3

INVITE = (
    "INSERT INTO invitations (secret_sha256, interview, position, access_key, name, email,"
    " metadata, created_at, expires_at, ended)"
    " VALUES ('{secret}', 'i', 'p', 'job-1', 'Ana', 'ana@example.com', '{{}}', 'c', 'e', {ended})"
)
DECIDE = (
    "INSERT INTO decisions (interview, position, access_key, name, email, decision, reason,"
    " reviewer, created_at)"
    " VALUES ('i', 'p', 'job-1', 'Ana', 'ana@example.com', '{decision}', 'r', 'B', 'c')"
)
Change = Callable[..., None]


@pytest.fixture
def change(api: Api, database_path: Path) -> Change:
    def change(*statements: str) -> None:
        with closing(sqlite3.connect(database_path)) as file, file:
            for statement in statements:
                file.execute(statement)

    assert api.get("/readyz").status == 200
    return change


def stored(imported: Imported) -> list[str]:
    return [str(other) for other in imported.others]


def in_target(target: Config, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(target.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


INVITATIONS = "SELECT secret_sha256, ended FROM invitations ORDER BY number"


def test_invitations_and_decisions_come_along_and_end_as_in_the_file(
    change: Change, target: Config, database_path: Path
) -> None:
    change(
        INVITE.format(secret="one", ended="'replaced'"),
        INVITE.format(secret="two", ended="NULL"),
        DECIDE.format(decision="hold"),
    )
    assert stored(import_file(database_path, target)) == [
        "2 of 2 invitations",
        "1 of 1 decisions",
    ]
    assert in_target(target, INVITATIONS) == [("one", "replaced"), ("two", None)]
    change("UPDATE invitations SET ended = 'revoked' WHERE secret_sha256 = 'two'")
    change(DECIDE.format(decision="advance"))
    assert stored(import_file(database_path, target)) == [
        "0 of 2 invitations",
        "1 of 2 decisions",
    ]
    assert in_target(target, INVITATIONS) == [("one", "replaced"), ("two", "revoked")]
    change("UPDATE invitations SET ended = 'replaced'", INVITE.format(secret="three", ended="NULL"))
    import_file(database_path, target)
    assert in_target(target, INVITATIONS) == [
        ("one", "replaced"),
        ("two", "replaced"),
        ("three", None),
    ]
    assert in_target(target, "SELECT decision FROM decisions ORDER BY number") == [
        ("hold",),
        ("advance",),
    ]


def test_an_applicant_invited_and_decided_on_by_two_services_is_listed(
    change: Change, target: Config, database_path: Path
) -> None:
    import_file(database_path, target)
    with psycopg.connect(target.database_url) as connection:
        connection.execute(INVITE.format(secret="other", ended="NULL").encode())
        connection.execute(DECIDE.format(decision="reject").encode())
    change(INVITE.format(secret="one", ended="NULL"), DECIDE.format(decision="advance"))
    with pytest.raises(ImportingError) as refused:
        import_file(database_path, target)
    lines = str(refused.value).splitlines()
    assert "other invitations" in lines[0]
    assert "other decisions" in lines[2]
    assert lines[1] == lines[3] == "  job-1 / Ana / ana@example.com"
    assert in_target(target, INVITATIONS) == [("other", None)]
