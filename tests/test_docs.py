"""README, .env.example and CHANGELOG tell of everything there is, and of nothing else."""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app import app
from config import Config
from openai_api.rehearsal import SCRIPT
from server import APP_FOLDER, development_server

README = (APP_FOLDER / "README.md").read_text()
ENV_EXAMPLE = (APP_FOLDER / ".env.example").read_text()
SETTINGS = {field.name.upper(): field for field in dataclasses.fields(Config)}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_conversation_in_the_readme_is_what_curl_gets(tmp_path: Path) -> None:
    examples = re.findall(r"```bash\n(curl .*?)```\n```json\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 4
    with development_server(tmp_path) as port:

        def run(command: str) -> Any:
            command = command.replace("127.0.0.1:5000", f"127.0.0.1:{port}")
            done = subprocess.run(
                ["bash", "-c", command], capture_output=True, check=True, text=True, timeout=60
            )
            return json.loads(re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", done.stdout))

        for command, told in examples[:3]:
            assert run(command) == json.loads(
                re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", told)
            )
        reply, (status, finished) = examples[1][0], examples[3]
        for _ in range(4):
            assert run(status) == {"status": "started"}
            run(reply)
        assert run(status) == json.loads(finished)


def readme_block(language: str, beginning: str) -> str:
    (block,) = re.findall(rf"```{language}\n({re.escape(beginning)}.*?)```\n", README, re.DOTALL)
    return str(block)


FIELDS = '{"accessKey": "a", "name": "b", "email": "c", "prompt": "p"}'


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_stream_in_the_readme_is_what_curl_gets(tmp_path: Path) -> None:
    examples = re.findall(r"```bash\n(curl .*?)```\n```json\n", README, re.DOTALL)
    told = readme_block("", "event: delta")
    with development_server(tmp_path) as port:
        for command in (*examples[:2], readme_block("bash", "curl -N")):
            done = subprocess.run(
                ["bash", "-c", command.replace("127.0.0.1:5000", f"127.0.0.1:{port}")],
                capture_output=True,
                check=True,
                text=True,
                timeout=60,
            )
    beginning, end = told.split("...\n")
    assert done.stdout.startswith(beginning)
    assert done.stdout.endswith(end)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_script_in_the_readme_works_as_it_stands(tmp_path: Path) -> None:
    with development_server(tmp_path) as port:
        script = readme_block("js", "async function").replace("5000", str(port))
        script += f"""
        const fields = {FIELDS};
        const post = {{method: "POST", headers: {{"Content-Type": "application/json"}}}};
        await fetch("http://127.0.0.1:{port}/start_interview",
                    {{...post, body: JSON.stringify(fields)}});
        const heard = [];
        const answer = await reply({{...fields, message: "Hello"}}, words => heard.push(words));
        const failure = await reply({{...fields, name: "Nobody", message: "Hello"}}, () => {{}})
          .catch(error => error.message);
        console.log(JSON.stringify([heard, answer, failure]));
        """
        (tmp_path / "script.mjs").write_text(script)
        done = subprocess.run(
            ["node", tmp_path / "script.mjs"], capture_output=True, check=True, timeout=60
        )
    heard, answer, failure = json.loads(done.stdout)
    assert len(heard) > 5
    assert "".join(heard) == answer == SCRIPT[1]
    assert failure == "Cannot reply, no interview history found."


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


def test_every_route_is_in_the_readme_and_every_route_there_exists() -> None:
    routes = {
        f"{method} {rule.rule}".replace("anything:", "")
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    routes.add("GET /metrics")  # off unless it is turned on
    assert set(re.findall(r"\| `((?:GET|POST) [^`]+)` \|", README)) == routes


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    table = dict(re.findall(r"\| `([A-Z_]+)` \| (.*?) \|", README))
    assert set(table) == set(SETTINGS)
    for setting, told in table.items():
        if default(setting):
            assert told == f"`{default(setting)}`"
        else:
            assert "`" not in told


def test_every_setting_is_in_the_env_example_with_its_default() -> None:
    lines = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    assert set(lines) == set(SETTINGS)
    assert lines["OPENAI_API_KEY"] == ""
    for setting, value in lines.items():
        if default(setting):
            assert value == default(setting)


def test_every_setting_is_read_from_the_environment_by_its_name() -> None:
    source = (APP_FOLDER / "config.py").read_text()
    assert set(re.findall(r'"([A-Z][A-Z_]+)"', source)) == set(SETTINGS)


def test_every_make_target_is_in_the_readme_and_in_the_help() -> None:
    makefile = (APP_FOLDER / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = set(phony.split()) - {"help"}
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) == targets
    assert set(re.findall(r"@echo \"make ([a-z]+) ", makefile)) == targets


def test_every_module_is_in_the_readmes_map() -> None:
    named = set(re.findall(r"^\| `([a-z_.]+(?:\.[a-z]+)?/?)` \|", README, re.MULTILINE))
    modules = {path.name for path in APP_FOLDER.glob("*.py")}
    assert modules <= named
    assert all((APP_FOLDER / name).exists() for name in named)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_a_link_to_a_file_leads_somewhere(name: str) -> None:
    text = (APP_FOLDER / name).read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (APP_FOLDER / target).exists()
