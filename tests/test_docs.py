"""README, .env.example and CHANGELOG tell of everything there is, and of nothing else."""

import dataclasses
import re

import pytest

from app import app
from config import Config
from server import APP_FOLDER

README = (APP_FOLDER / "README.md").read_text()
ENV_EXAMPLE = (APP_FOLDER / ".env.example").read_text()
SETTINGS = {field.name.upper(): field for field in dataclasses.fields(Config)}


def default(setting: str) -> str:
    """The default as it is written in the environment; empty if there is none."""
    value = SETTINGS[setting].default
    if value is dataclasses.MISSING or value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_route_is_in_the_readme_and_every_route_there_exists() -> None:
    routes = {
        f"{method} {rule.rule}".replace("anything:", "")
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
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
