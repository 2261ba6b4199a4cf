"""A copy of the database: consistent under load, checked, and never half a file."""

import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from api import ANA, Api
from commands import backup
from commands.backup import BackupError, back_up
from server import Gunicorn, run_command


def ignore(done: int, total: int) -> None:
    """Whatever the progress is."""


def test_a_copy_under_load_holds_all_that_was_acknowledged_and_serves(
    make_server: Callable[..., Gunicorn], make_api: Callable[..., Api], database_path: Path
) -> None:
    server = make_server().start()
    acknowledged: list[str] = []
    stop = Event()

    def hold(number: int) -> None:
        applicant = ANA.named(f"Ana {number}")
        with server.api() as api:
            assert api.start(applicant).status == 200
            acknowledged.append(applicant.name)
            while not stop.is_set():
                assert api.reply("Word for word", applicant).status in (200, 409)

    with ThreadPoolExecutor(4) as pool:
        holding = [pool.submit(hold, number) for number in range(4)]
        while len(acknowledged) < 4:
            assert not any(future.done() for future in holding)
        counts = []
        for number in range(5):
            copy = database_path.with_name(f"copy-{number}.db")
            counts.append(back_up(database_path, copy, ignore))
        stop.set()
        for future in holding:
            future.result()
    assert counts == sorted(counts)
    server.stop()

    restored = make_api(database_url=f"sqlite:///{copy}")
    assert len(restored.get(f"/get_applicants/{ANA.access_key}").body["applicants"]) == 4
    for number in range(4):
        restored.messages(ANA.named(f"Ana {number}"))  # they alternate
    assert restored.start(ANA.named("Mei")).status == 200


def test_progress_ends_with_all_pages(api: Api, database_path: Path, tmp_path: Path) -> None:
    api.start(prompt="x" * 90_000)
    seen: list[tuple[int, int]] = []
    assert back_up(database_path, tmp_path / "copy.db", lambda *pages: seen.append(pages)) == 2
    done, total = seen[-1]
    assert done == total > 20


def test_a_large_copy_does_not_begin_again_when_something_is_written(
    api: Api, database_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "STEP", 2)
    api.start(prompt="x" * 90_000)
    seen: list[int] = []

    def write(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) < 9:
            api.reply(f"Message {done}")

    assert back_up(database_path, tmp_path / "copy.db", write) == 2
    assert seen == sorted(seen)
    assert len(api.messages()) > 2


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")
def test_a_copy_is_for_its_owner_alone(api: Api, database_path: Path, tmp_path: Path) -> None:
    api.start()
    before = os.umask(0)
    try:
        back_up(database_path, tmp_path / "copy.db", ignore)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_what_is_in_the_copys_place_is_left_alone(
    api: Api, database_path: Path, tmp_path: Path
) -> None:
    api.start()
    target = tmp_path / "copy.db"
    target.write_text("dear to somebody")
    with pytest.raises(BackupError, match="exists already"):
        back_up(database_path, target, ignore)
    assert target.read_text() == "dear to somebody"


def test_no_database_makes_no_copy(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no database"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db", ignore)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_breaks_off_leaves_nothing(
    api: Api, database_path: Path, tmp_path: Path
) -> None:
    api.start()

    def fail(*_: int) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "copies"
    with pytest.raises(BackupError, match="No space left"):
        back_up(database_path, folder / "copy.db", fail)
    assert list(folder.iterdir()) == []
    assert len(api.messages()) == 2


def test_the_command_says_what_it_copied(api: Api, database_path: Path, tmp_path: Path) -> None:
    api.start()
    copy = tmp_path / "copy.db"

    done = run_command(f"sqlite:///{database_path}", "backup", copy)
    assert done.returncode == 0
    assert done.stdout == f"2 messages in {copy}, checked.\n"
    connection = sqlite3.connect(copy)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()

    again = run_command(f"sqlite:///{database_path}", "backup", copy)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert "pg_dump" in run_command("postgresql://localhost/tukma", "backup", copy).stderr
