"""How PostgreSQL is reached: through PgBouncer, by TLS, and by URLs that lead nowhere."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api import Api
from config import APP_FOLDER, Config, StartError
from conversations import conversing, go_on, told_of
from openai_api.rehearsal import Behaviour, Rehearsal
from postgresql import PgBouncer, PostgresServer
from server import Gunicorn

MakeApi = Callable[..., Api]
SECRET = "word-of-the-tests"


@pytest.fixture
def database_url(server: PostgresServer) -> Iterator[str]:
    """Every test here: a role without further rights, and a schema given by `search_path`."""
    with server.schema() as url:
        yield url


class TestPgBouncer:
    @pytest.fixture
    def url(self, server: PostgresServer, database_url: str) -> Iterator[str]:
        """PgBouncer takes no `options`, so that the role has the schema."""
        schema = database_url.partition("%3D")[2]
        server.execute(f"ALTER ROLE tukma SET search_path = {schema}")
        bouncer = PgBouncer(server)
        yield bouncer.url
        bouncer.stop()
        server.execute("ALTER ROLE tukma RESET search_path")

    def test_the_service_works_through_pgbouncer_in_transaction_mode(
        self, make_server: Callable[..., Gunicorn], url: str, rehearsal: Rehearsal
    ) -> None:
        rehearsal.default = Behaviour(echo=True, delay=0.01)
        service = make_server(DATABASE_URL=url).start()
        with conversing(service, 8) as conversations:
            go_on(conversations, replies=20)
        print(f"Through PgBouncer: {told_of(conversations, service)}")
        assert {status for each in conversations for status in each.statuses} == {200}
        rehearsal.default = Behaviour(delay=0.3, echo=True)
        with service.api() as api, ThreadPoolExecutor(12) as pool:
            api.start(prompt="Interview!")
            answers = list(pool.map(lambda _: api.reply("Hello"), range(12)))
            assert {answer.body["system"] for answer in answers} == {"You said: Hello"}
            assert api.said()[2:] == ["Hello", "You said: Hello"]


class TestStart:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (("pass%40", "wrong"), "password authentication failed"),
            (("127.0.0.1", "nowhere.invalid"), "resolve|translate|name"),
            (("/postgres?", "/nothing?"), "does not exist"),
            (("search_path%3D", "search_path%3Dno_"), "schema"),
            (("options=", "optoins="), "is not a URL that PostgreSQL knows"),
            (("pass%40", "pass%zz"), "is not a URL that PostgreSQL knows"),
            (("127.0.0.1:", "127.0.0.1:x"), "."),
        ],
        ids=["password", "host", "database", "schema", "option", "encoding", "port"],
    )
    def test_a_url_that_leads_nowhere_is_one_sentence_without_the_password(
        self,
        make_api: MakeApi,
        database_url: str,
        change: tuple[str, str],
        sentence: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        with pytest.raises(StartError, match=sentence) as caught:
            make_api(database_url=database_url.replace(*change))
        assert "\n" not in str(caught.value)
        for told in (str(caught.value), caplog.text):
            assert SECRET not in told

    def test_the_settings_do_not_show_the_password(self, config: Config) -> None:
        assert SECRET in config.database_url
        assert SECRET not in repr(config)

    def test_a_client_that_is_not_installed_is_one_sentence(self) -> None:
        program = (
            "import sys; sys.modules['psycopg'] = None\n"
            "import db; from config import Config, StartError\n"
            "try: db.open_database(Config('k', database_url='postgresql://h/d'))\n"
            "except StartError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=APP_FOLDER, capture_output=True, text=True
        )
        assert "not installed: pip install" in done.stdout


class TestTls:
    def test_sslmode_in_the_url_is_honoured(
        self, make_api: MakeApi, server: PostgresServer, database_url: str, tmp_path: Path
    ) -> None:
        with pytest.raises(StartError, match="SSL"):
            make_api(database_url=f"{database_url}&sslmode=require")
        certificate = tmp_path / "server.crt"
        certificate.write_bytes(server.certificate().read_bytes())
        try:
            api = make_api(database_url=f"{database_url}&sslmode=require")
            assert api.start().status == 200
            encrypted = (
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE application_name = 'tukma'"
            )
            assert set(server.execute(encrypted)) == {(True,)}
            verified = f"{database_url}&sslmode=verify-full&sslrootcert={certificate}"
            with pytest.raises(StartError, match="certificate"):
                make_api(database_url=verified)  # 127.0.0.1 is not what it says
            verified = verified.replace("127.0.0.1", "localhost") + "&hostaddr=127.0.0.1"
            assert make_api(database_url=verified).reply("Hello").status == 200
        finally:
            server.reload(ssl="off")
