"""The audit trail of an SQLite file in PostgreSQL: every event once, in chains that verify."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from api import ANA, Api
from audited import change, trail
from commands.import_sqlite import import_file
from config import Config
from db import open_database
from records.audit_chain import link
from server import run_command

MakeApi = Callable[..., Api]

MEI, NOOR, KIM = (ANA.named(name) for name in ("Mei", "Noor", "Kim"))


def verified(config: Config, *arguments: object) -> bool:
    return run_command(config.database_url, "verify-audit", *arguments).returncode == 0


def start(api: Api, *applicants: Any) -> None:
    for applicant in applicants:
        assert api.start(applicant).status == 200


def subjects(api: Api) -> list[str]:
    return [event["subject"] for event in trail(api)]


def test_a_chain_moves_link_by_link_and_goes_on(
    api: Api,
    on_target: MakeApi,
    config: Config,
    target: Config,
    database_path: Path,
    tmp_path: Path,
) -> None:
    start(api, ANA, MEI)
    before = trail(api)
    heads = tmp_path / "heads"
    heads.write_text(run_command(config.database_url, "verify-audit").stdout)
    import_file(database_path, target)
    there = on_target()
    assert trail(there) == before
    assert verified(target, "--heads", heads)

    start(api, NOOR)
    longer = trail(api)
    start(api, KIM)  # not linked yet
    for _ in range(2):
        import_file(database_path, target)
        assert trail(there)[:3] == longer
        assert subjects(there) == subjects(api)
        assert verified(target, "--heads", heads)


def test_an_older_file_changes_nothing(
    api: Api, on_target: MakeApi, target: Config, database_path: Path
) -> None:
    start(api, ANA)
    assert len(trail(api)) == 1
    import_file(database_path, target)
    there = on_target()
    start(there, MEI)
    known = trail(there)
    import_file(database_path, target)
    assert trail(there) == known
    assert verified(target)


def test_where_both_have_gone_on_every_event_is_there_once(
    api: Api, on_target: MakeApi, target: Config, database_path: Path
) -> None:
    start(api, ANA)
    assert len(trail(api)) == 1
    import_file(database_path, target)
    there = on_target()
    start(there, MEI)
    known = trail(there)
    start(api, NOOR)
    in_file = trail(api)
    start(api, KIM)
    for _ in range(3):
        import_file(database_path, target)
        found = trail(there)
        assert found[: len(known)] == known
        assert sorted(subjects(there)) == sorted({*subjects(api), known[1]["subject"]})
        assert verified(target)
    assert trail(api)[:2] == in_file


def test_events_that_came_loose_are_links_once_the_file_has_linked_them(
    api: Api, config: Config, target: Config, on_target: MakeApi, database_path: Path
) -> None:
    start(api, ANA, MEI)
    import_file(database_path, target)
    database = open_database(config)
    link(database)
    database.close()
    import_file(database_path, target)
    assert trail(on_target()) == trail(api)
    assert verified(target)


def test_what_was_changed_in_the_file_is_found_in_the_database(
    api: Api, config: Config, target: Config, database_path: Path
) -> None:
    start(api, ANA, MEI, NOOR)
    assert len(trail(api)) == 3
    database = open_database(config)
    change(database, "UPDATE audit_events SET actor = 'system' WHERE sequence = 2")
    database.close()
    import_file(database_path, target)
    assert not verified(target)
