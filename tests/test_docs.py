"""README, docs/ and the files that list something have everything there is, and nothing else."""

import ast
import dataclasses
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app import app
from commands.__main__ import commands
from config import MODEL_PARAMETERS, Config
from contract import DOCUMENT
from openai_api.rehearsal import SCRIPT
from server import APP_FOLDER, Gunicorn, development_server, run_command

DOCS = {
    str(path.relative_to(APP_FOLDER)): path.read_text()
    for folder in (APP_FOLDER, APP_FOLDER / "docs")
    for path in sorted(folder.glob("*.md"))
}
# What there is. The changelog may also name what has gone.
PRESENT = {name: text for name, text in DOCS.items() if name != "CHANGELOG.md"}
ALL_DOCS = "\n".join(PRESENT.values())
README = DOCS["README.md"]
ENV_EXAMPLE = (APP_FOLDER / ".env.example").read_text()

SETTINGS = {field.name.upper(): field for field in dataclasses.fields(Config)}
# Folders of code that are no part of the service.
BESIDE_THE_SERVICE = {"bench", "tests"}
PACKAGES = {path.parent.name for path in APP_FOLDER.glob("[!v.]*/__init__.py")} - BESIDE_THE_SERVICE
MODULES = {path.name for path in APP_FOLDER.glob("*.py")} | {
    str(path.relative_to(APP_FOLDER))
    for package in PACKAGES
    for path in (APP_FOLDER / package).rglob("*.py")
    if path.name != "__init__.py"
}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


def test_the_readme_is_short_and_begins_with_one_sentence_and_a_command() -> None:
    assert len(README.splitlines()) <= 150
    title, sentence, heading = README.partition("```bash\nmake run\n```")[0].strip().split("\n\n")
    assert title.startswith("# ")
    assert re.fullmatch(r"[^.]+\.", sentence)
    assert heading == "## Try it"


# What the documents let a reader try.


class Example(NamedTuple):
    """A command in a document, and the output that the document shows."""

    command: str
    output: str


def examples(name: str, language: str = "json") -> list[Example]:
    found = re.findall(rf"```bash\n(curl .*?)```\n```{language}\n(.*?)```", DOCS[name], re.DOTALL)
    return [Example(*example) for example in found]


def block(name: str, language: str, beginning: str) -> str:
    """Return the document's one block of code that begins so."""
    pattern = rf"```{language}\n({re.escape(beginning)}.*?)```\n"
    (code,) = re.findall(pattern, DOCS[name], re.DOTALL)
    return str(code)


def run(command: str, port: int, **environment: str) -> str:
    return subprocess.run(
        ["bash", "-c", command.replace("127.0.0.1:5000", f"127.0.0.1:{port}")],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout


def without_times(text: str) -> Any:
    return json.loads(re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "TIME", text))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve as `make run` does, with a database of this module's own."""
    with development_server(tmp_path_factory.mktemp("docs")) as port:
        yield port


class Conversation(NamedTuple):
    """What curl printed for the commands of the documents, in the order of the interview."""

    readme: list[str]
    statuses: list[str]
    stream: str
    retries: list[str]
    decision: str


@pytest.fixture(scope="module")
def conversation(port: int) -> Conversation:
    start, reply, transcript = (example.command for example in examples("README.md"))
    status = transcript.replace("get_messages", "interview_status")
    outputs = [run(command, port) for command in (start, reply, transcript)]
    stream = run(block("docs/streaming.md", "bash", "curl -N"), port)
    retry = block("docs/errors.md", "bash", "curl")
    retries = [run(retry, port), run(retry, port)]
    statuses = []
    for _ in range(2):
        statuses.append(run(status, port))
        run(reply, port)
    statuses.append(run(status, port))
    decision = run(block("docs/rooms.md", "bash", "curl http://127.0.0.1:5000/decide"), port)
    return Conversation(outputs, statuses, stream, retries, decision)


@needs_curl
def test_the_conversation_in_the_readme_is_what_curl_gets(conversation: Conversation) -> None:
    shown = examples("README.md")
    assert len(shown) == 3
    for example, output in zip(shown, conversation.readme, strict=True):
        assert without_times(output) == without_times(example.output)
    statuses = [json.loads(status)["status"] for status in conversation.statuses]
    assert statuses == ["started", "started", "finished"]


@needs_curl
def test_the_stream_in_the_docs_is_what_curl_gets(conversation: Conversation) -> None:
    (example,) = examples("docs/streaming.md", language="")
    beginning, end = example.output.split("...\n")
    assert conversation.stream.startswith(beginning)
    assert conversation.stream.endswith(end)


@needs_curl
def test_the_retry_in_the_docs_gets_the_first_result(conversation: Conversation) -> None:
    first, second = map(json.loads, conversation.retries)
    assert first == second == {"system": SCRIPT[3]}


@needs_curl
def test_the_decision_in_the_docs_is_what_curl_gets(conversation: Conversation) -> None:
    shown = next(one.output for one in examples("docs/rooms.md") if "/decide" in one.command)
    assert without_times(conversation.decision) == without_times(shown)


@needs_node
def test_the_script_in_the_docs_works_as_it_stands(port: int, tmp_path: Path) -> None:
    fields = '{"accessKey": "a", "name": "b", "email": "c", "prompt": "p"}'
    script = block("docs/streaming.md", "js", "async function").replace("5000", str(port))
    script += f"""
    const fields = {fields};
    const post = {{method: "POST", headers: {{"Content-Type": "application/json"}}}};
    await fetch("http://127.0.0.1:{port}/start_interview",
                {{...post, body: JSON.stringify(fields)}});
    const pieces = [];
    const answer = await reply({{...fields, message: "Hello"}}, piece => pieces.push(piece), "key");
    const again = await reply({{...fields, message: "Hello"}}, () => {{}}, "key");
    const failure = await reply({{...fields, name: "Nobody", message: "Hello"}}, () => {{}})
      .catch(error => error.message);
    console.log(JSON.stringify([pieces, answer, again, failure]));
    """
    (tmp_path / "script.mjs").write_text(script)
    done = subprocess.run(
        ["node", tmp_path / "script.mjs"], capture_output=True, check=True, timeout=60
    )
    pieces, answer, again, failure = json.loads(done.stdout)
    assert len(pieces) > 5
    assert "".join(pieces) == answer == again == SCRIPT[1]
    assert failure == "Cannot reply, no interview history found."


@needs_curl
def test_a_key_is_made_and_gets_a_token_as_the_docs_show(
    make_server: Callable[..., Gunicorn],
) -> None:
    made = run_command("", "key").stdout
    shown = block("docs/access.md", "", "key:")
    pattern = r"key:  (tukma_[\w-]{43})\nhash: (sha256:[0-9a-f]{64})\n"
    assert re.fullmatch(pattern, shown)
    key, key_hash = re.fullmatch(pattern, made).groups()  # type: ignore[union-attr]
    server = make_server(API_KEYS=key_hash, SECRET_KEY=key).start()
    printed = run(block("docs/access.md", "bash", "curl"), server.port, KEY=key)
    assert set(json.loads(printed)) == {"token", "expires_at"}


# What the documents list.


# What only the pages lead to.
PARTS_OF_PAGES = ("/board/", "/static/", "/try")


def test_every_route_is_in_the_readme_and_every_route_there_exists() -> None:
    routes = {
        f"{method} {rule.rule}".replace("anything:", "")
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith(PARTS_OF_PAGES)
    }
    routes.add("GET /metrics")  # off unless it is turned on
    cells = re.findall(r"^\| (`(?:GET|POST|PUT|DELETE) .*?) \|", README, re.MULTILINE)
    assert set(re.findall(r"`(.*?)`", " ".join(cells))) == routes


def test_every_status_of_an_error_is_in_the_docs() -> None:
    cells = re.findall(r"^\| ([\d, ]+) \|", DOCS["docs/errors.md"], re.MULTILINE)
    documented = set(re.findall(r"\d+", " ".join(cells)))
    described = {
        status
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for status in map(str, operation.get("responses", {}))
        if status >= "400"
    }
    assert described <= documented


def default(setting: str) -> str:
    """The default as it is written in the environment; empty if there is none."""
    value = SETTINGS[setting].default
    if value is dataclasses.MISSING or value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def meanings() -> dict[str, str]:
    """Return the docstring of each field of `Config`, by the setting's name."""
    tree = ast.parse((APP_FOLDER / "config.py").read_text())
    (config,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"
    )
    found = {}
    for field, docstring in zip(config.body, config.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(docstring, ast.Expr)
            found[field.target.id.upper()] = " ".join(ast.literal_eval(docstring.value).split())
    return found


def test_every_setting_is_in_the_docs_with_its_default_and_its_meaning() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", DOCS["docs/settings.md"], re.MULTILINE
    )
    assert sorted(name for name, _, _ in rows) == sorted(SETTINGS)
    for name, shown, meaning in rows:
        assert meaning == meanings()[name]
        if default(name):
            assert shown == f"`{default(name)}`"
        else:
            assert "`" not in shown


def test_every_parameter_of_a_model_is_in_the_docs() -> None:
    _, _, table = DOCS["docs/settings.md"].partition("| parameter | values |")
    cells = re.findall(r"^\| (`.*?) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert set(re.findall(r"`(.*?)`", " ".join(cells))) == set(MODEL_PARAMETERS)


def test_every_setting_is_in_the_env_example_with_its_default_and_its_meaning() -> None:
    entries = re.findall(r"((?:^# .*\n)+)^#?([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE)
    assert sorted(name for _, name, _ in entries) == sorted(SETTINGS)
    for comment, name, value in entries:
        assert value == default(name)
        assert " ".join(comment.replace("#", "").split()) == meanings()[name].replace("`", "")


def test_a_setting_that_a_document_names_exists() -> None:
    others = {
        "TEST_DATABASE_URL",
        "TEST_REDIS_URL",
        "POSTGRES_PASSWORD",
        "SCHEMA_VERSION",
        "MODEL_PARAMETERS",
    }
    others |= {"RAILWAY_DEPLOYMENT_DRAINING_SECONDS", "PATH"}
    for name, text in PRESENT.items():
        named = set(re.findall(r"`([A-Z]{2,}(?:_[A-Z]+)+)[`=]", text))
        assert named <= set(SETTINGS) | others, name


def test_every_make_target_is_in_the_docs_and_in_the_help() -> None:
    makefile = (APP_FOLDER / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = set(phony.split()) - {"help"}
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", ALL_DOCS, re.MULTILINE)) == targets
    assert set(re.findall(r"@echo \"make ([a-z]+) ", makefile)) == targets


def test_every_command_is_in_the_docs() -> None:
    assert set(re.findall(r"python -m commands ([a-z-]+)", ALL_DOCS)) == set(commands.commands)


def test_every_package_is_in_the_readmes_map() -> None:
    _, _, table = README.partition("| path | contents |")
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = set(re.findall(r"`(.*?)`", " ".join(cells)))
    top = {name for name in MODULES if "/" not in name} - {"gunicorn.conf.py"}
    assert named == top | {
        f"{package}/" for package in PACKAGES | BESIDE_THE_SERVICE | {"docs", "examples"}
    }


def test_every_module_is_in_the_architecture() -> None:
    rows = re.findall(r"^\| `([\w./]+\.py)` \|", DOCS["docs/architecture.md"], re.MULTILINE)
    assert sorted(rows) == sorted(MODULES)


def test_every_package_is_in_the_architectures_picture() -> None:
    picture = block("docs/architecture.md", "", "   app.py")
    assert set(re.findall(r"(\w+)/", picture)) == PACKAGES


def test_a_file_that_a_document_names_exists() -> None:
    for name, text in PRESENT.items():
        for path in re.findall(r"`([\w.-]+/[\w./-]*\.(?:py|md|yaml|toml))[` ]", text):
            assert (APP_FOLDER / path).exists(), f"{name} names {path}"


def test_a_link_to_a_file_and_a_heading_leads_somewhere() -> None:
    for name, text in DOCS.items():
        for path, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
            target = (APP_FOLDER / name).parent / path if path else APP_FOLDER / name
            assert target.exists(), f"{name} links to {path}"
            if heading:
                assert heading in anchors(target.read_text()), f"{name} links to {path}#{heading}"


def anchors(text: str) -> set[str]:
    """Return the names that GitHub gives to the document's headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading).replace(" ", "-").lower()
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


# Files that list the packages, and so must not miss one.


def test_the_image_has_every_package() -> None:
    dockerfile = (APP_FOLDER / "Dockerfile").read_text()
    assert set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE)) == PACKAGES
    sent = (APP_FOLDER / ".dockerignore").read_text().split()
    assert {f"!{package}" for package in PACKAGES} <= set(sent)


def test_the_import_rule_covers_every_package() -> None:
    linter = tomllib.loads((APP_FOLDER / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(linter["root_packages"]) == PACKAGES
    (layers,) = (item["layers"] for item in linter["contracts"] if item["type"] == "layers")
    assert set(re.findall(r"\w+", " ".join(layers))) == PACKAGES
