"""No table and no column is forgotten by the export: each is in it, or is left out for a reason."""

from collections.abc import Iterator

import pytest

from config import Config
from db import Database, open_database
from records.exporting.tables import (
    AS_JSON,
    AS_TIME,
    EXPORTED,
    LEFT_OUT,
    LEFT_OUT_EVERYWHERE,
    TABLES_LEFT_OUT,
)

COLUMNS = {
    "sqlite": (
        "SELECT tables.name, columns.name FROM sqlite_master AS tables"
        " JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
    ),
    "postgresql": (
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
    ),
}


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def stored_columns(database: Database, config: Config) -> set[tuple[str, str]]:
    """Every column that the database has, with its table."""
    kind = "postgresql" if config.is_postgresql else "sqlite"
    with database.reading() as session:
        return {(table, column) for table, column in session.execute(COLUMNS[kind], {}).fetchall()}


def exported_columns() -> set[tuple[str, str]]:
    return {(table.name, column) for table in EXPORTED for column in table.columns.split(", ")}


@pytest.mark.both_databases
def test_every_table_is_exported_or_left_out_for_a_reason(
    database: Database, config: Config
) -> None:
    tables = {table for table, _ in stored_columns(database, config)}
    exported = {table.name for table in EXPORTED}
    assert tables - exported <= set(TABLES_LEFT_OUT)
    assert exported <= tables


@pytest.mark.both_databases
def test_every_column_is_exported_or_left_out_for_a_reason(
    database: Database, config: Config
) -> None:
    stored = {
        (table, column)
        for table, column in stored_columns(database, config)
        if table not in TABLES_LEFT_OUT
    }
    left_out = {
        (table, column)
        for table, column in stored
        if column in LEFT_OUT_EVERYWHERE or f"{table}.{column}" in LEFT_OUT
    }
    assert stored - exported_columns() == left_out
    assert exported_columns() <= stored


def test_nothing_is_both_exported_and_left_out() -> None:
    columns = exported_columns()
    assert not {f"{table}.{column}" for table, column in columns} & set(LEFT_OUT)
    assert not {column for _, column in columns} & set(LEFT_OUT_EVERYWHERE)
    assert not {table.name for table in EXPORTED} & set(TABLES_LEFT_OUT)


def test_a_column_that_is_read_as_something_is_one_that_is_exported() -> None:
    columns = {column for _, column in exported_columns()}
    assert columns >= AS_JSON
    assert columns >= AS_TIME
    assert not AS_JSON & AS_TIME
