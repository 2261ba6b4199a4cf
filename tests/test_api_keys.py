"""`make key`, and keys in the environment."""

import re
import subprocess
import sys

import pytest

from access.api_keys import hash_of, is_one_of, new_key
from config import StartError, load
from server import APP_FOLDER

ENVIRONMENT = {"OPENAI_API_KEY": "any"}


def test_a_new_key_and_its_hash_are_printed_and_open_the_api() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "commands", "key"],
        cwd=APP_FOLDER,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    key, hashed = re.findall(r"^(?:key|hash): +(\S+)$", printed, re.MULTILINE)
    for setting in (key, hashed):
        assert is_one_of(hash_of(key), load({**ENVIRONMENT, "API_KEYS": setting}).api_keys)
    assert not is_one_of(hash_of(hashed), load({**ENVIRONMENT, "API_KEYS": hashed}).api_keys)


def test_no_two_keys_are_the_same() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "keys", [",", " , ,", "sha256:", "sha256:12", f"sha256:{'g' * 64}", f"key,sha256:{'0' * 63}"]
)
def test_a_list_that_holds_no_key_does_not_leave_the_api_open(keys: str) -> None:
    with pytest.raises(StartError, match="API_KEYS"):
        load({**ENVIRONMENT, "API_KEYS": keys})


def test_a_wrong_setting_does_not_show_the_key() -> None:
    with pytest.raises(StartError) as error:
        load({**ENVIRONMENT, "API_KEYS": "geheimé-key"})
    assert "geheim" not in str(error.value)


def test_the_configuration_does_not_show_a_secret() -> None:
    secrets = {
        "OPENAI_API_KEY": "sk-first",
        "API_KEYS": "second-key",
        "SECRET_KEY": "third-key",
        "REDIS_URL": "redis://:fourth@localhost",
    }
    shown = repr(load(secrets))
    for secret in ("sk-first", "second-key", "third-key", "fourth"):
        assert secret not in shown
