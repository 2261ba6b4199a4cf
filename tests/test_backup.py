"""A copy of the database: consistent under load, checked, and never half a file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from api import ANA, Api
from commands import backup
from commands.backup import BackupError, back_up
from config import APP_FOLDER
from server import Gunicorn, run_command
from storage.sqlite import driver


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
            counts.append(back_up(database_path, copy))
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


def test_a_copy_does_not_begin_again_when_something_is_written(
    api: Api, database_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a service that writes all the time could never be copied."""
    monkeypatch.setattr(backup, "STEP", 1)
    for number in range(40):
        api.start(ANA.named(f"Ana {number}"), "x" * 90_000)
    copied = Event()
    insert = (
        "INSERT INTO messages (content, date_created, role, access_key, name, email)"
        " SELECT content, date_created, role, access_key, name, email FROM messages WHERE id = 2"
    )

    def write() -> int:
        # By the same library: two in one process lose each other's locks.
        connection = driver.sqlite3.connect(database_path)
        connection.execute("PRAGMA synchronous = OFF")
        writes = 0
        while not copied.is_set():
            with connection:
                connection.execute(insert)
            writes += 1
        connection.close()
        return writes

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        try:
            held = back_up(database_path, tmp_path / "copy.db")
        finally:
            copied.set()
        assert 80 <= held < 80 + writing.result()


def test_what_is_in_the_copys_place_is_left_alone(
    api: Api, database_path: Path, tmp_path: Path
) -> None:
    api.start()
    target = tmp_path / "copy.db"
    target.write_text("dear to somebody")
    with pytest.raises(BackupError, match="exists already"):
        back_up(database_path, target)
    assert target.read_text() == "dear to somebody"


def test_no_database_makes_no_copy(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no database"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_breaks_off_leaves_nothing(
    api: Api, database_path: Path, tmp_path: Path
) -> None:
    api.start(prompt="x" * 90_000)
    folder = tmp_path / "copies"
    # -B, as Python would keep what fits of a compiled module, and no later process could load it.
    command = f"ulimit -f 20; exec {sys.executable} -B -m commands backup {folder}/copy.db"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=APP_FOLDER,
        env={"DATABASE_URL": f"sqlite:///{database_path}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The copy failed: " in done.stderr
    assert list(folder.iterdir()) == []
    assert len(api.messages()) == 2


def test_a_terminal_shows_the_progress(api: Api, database_path: Path, tmp_path: Path) -> None:
    api.start()
    ours, theirs = os.openpty()
    subprocess.run(
        [sys.executable, "-m", "commands", "backup", tmp_path / "copy.db"],
        cwd=APP_FOLDER,
        env={"DATABASE_URL": f"sqlite:///{database_path}", "PATH": "", "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        check=True,
    )
    os.close(theirs)
    assert b"100%" in os.read(ours, 100_000)
    os.close(ours)


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
