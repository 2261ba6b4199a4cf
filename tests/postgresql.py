"""PostgreSQL for tests: a schema in the server of `TEST_DATABASE_URL`, or a server of one's own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from schemas import fresh_schema
from server import free_port


def server_url() -> str:
    """The URL of a database in which schemas may be created; without one the test is skipped."""
    url = os.environ.get("TEST_DATABASE_URL", "")
    if not url:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    return url


class PostgresServer:
    """A server of the test's own, which may be stopped, killed and starved."""

    PASSWORD = "pass%40word-of-the-tests"  # as it stands in a URL

    def __init__(self, **settings: str) -> None:
        self._binaries = _binaries()
        self._user = _user()
        self.folder = Path(tempfile.mkdtemp(prefix="tukma-postgres-"))
        if self._user:
            shutil.chown(self.folder, self._user)
        self.port = free_port()
        self._data = self.folder / "data"
        # Without waiting for the disk, here and later: the server is killed, its machine is not.
        options = ("-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        self._run("initdb", *options, "-D", str(self._data))
        settings = {
            "fsync": "off",
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **settings,
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        # Who may do all comes in as he is; everybody else needs a password.
        (self._data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.start()
        self.execute("CREATE ROLE tukma LOGIN PASSWORD 'pass@word-of-the-tests'")

    @property
    def admin_url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @contextmanager
    def schema(self, user: str = "tukma") -> Iterator[str]:
        """The URL of a role without further rights in an empty schema that is its own."""
        with fresh_schema(self.admin_url) as url:
            self.execute(f"ALTER SCHEMA {url.partition('%3D')[2]} OWNER TO {user}")
            yield url.replace("postgres@", f"{user}:{self.PASSWORD}@")

    def execute(self, query: str) -> list[tuple[Any, ...]]:
        """Do what an administrator does."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def terminate_backends(self) -> int:
        """End the connections of everybody else, and return their number."""
        theirs = "FROM pg_stat_activity WHERE usename = 'tukma'"
        ended = {pid for pid, _ in self.execute(f"SELECT pid, pg_terminate_backend(pid) {theirs}")}
        while ended & {pid for (pid,) in self.execute(f"SELECT pid {theirs}")}:
            time.sleep(0.01)
        return len(ended)

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", f"{self.folder}/log")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._data))

    def restart(self, mode: str = "immediate") -> None:
        self._run(
            *("pg_ctl", "restart", "-w", "-m", mode, "-D", str(self._data)),
            *("-l", f"{self.folder}/log"),
        )

    def reload(self, **settings: str) -> None:
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")
        for name, value in settings.items():
            while self.execute(f"SHOW {name}") != [(value,)]:
                time.sleep(0.01)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let every connection stay open while nothing is answered, as behind a broken network."""
        pids = [
            pid
            for (pid,) in self.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'tukma'")
        ]
        pids.append(int((self._data / "postmaster.pid").read_text().split()[0]))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def certificate(self) -> Path:
        """Let the server speak TLS, and return the certificate by which it is known."""
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl to make a certificate")
        self._run_program(
            *("openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-out", f"{self._data}/server.crt"),
            *("-keyout", f"{self._data}/server.key"),
        )
        (self._data / "server.key").chmod(0o600)
        self.reload(ssl="on")
        return self._data / "server.crt"

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        self._run_program(str(self._binaries / program), *arguments)

    def _run_program(self, *command: str) -> None:
        subprocess.run(
            command,
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            user=self._user,
        )


class PgBouncer:
    """PgBouncer in transaction mode, with fewer connections to the server than there are to it."""

    def __init__(self, server: PostgresServer) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            pytest.skip("PgBouncer is not installed")
        self.port = free_port()
        settings = server.folder / "pgbouncer.ini"
        # As it comes, but for the ports and the mode.
        settings.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={server.port}"
            " user=tukma password=pass@word-of-the-tests\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            "unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        self._process = subprocess.Popen(
            [program, "-q", str(settings)], stderr=subprocess.DEVNULL, user=_user()
        )
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError("PgBouncer does not start")

    @property
    def url(self) -> str:
        return f"postgresql://tukma@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def _binaries() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name)
    )
    if not folders:
        pytest.skip("there is no PostgreSQL of which to start a server")
    return folders[-1]


def _user() -> str | None:
    """Who runs the server: it refuses to run as root."""
    if sys.platform == "win32" or os.getuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
