"""The settings: defaults, and what is refused at the start."""

import dataclasses
from hashlib import sha256
from typing import Any

import pytest

from config import Config, Model, StartError, load

KEY = {"OPENAI_API_KEY": "sk-a"}


def test_with_a_key_alone_everything_has_its_default() -> None:
    assert load(KEY) == Config(openai_api_key="sk-a")


def test_a_blank_setting_counts_as_unset() -> None:
    blank = {field.name.upper(): "  " for field in dataclasses.fields(Config)}
    assert load({**blank, **KEY}) == Config(openai_api_key="sk-a")


# For each setting a value in the environment, and the setting that it makes: never the default.
EXAMPLES: dict[str, tuple[str, Any]] = {
    "OPENAI_API_KEY": (" sk-b\n", "sk-b"),
    "OPENAI_BASE_URL": ("http://127.0.0.1:8001/v1", "http://127.0.0.1:8001/v1"),
    "OPENAI_MODEL": (
        "gpt-4o-mini, gpt-6-luna?reasoning_effort=low",
        (Model("gpt-4o-mini"), Model("gpt-6-luna", {"reasoning_effort": "low"})),
    ),
    "REPLY_DEADLINE": ("12.5", 12.5),
    "CLOSING_PHRASE": ("Good bye", "Good bye"),
    "SCORING_MODEL": ("gpt-6-luna?seed=1", (Model("gpt-6-luna", {"seed": 1}),)),
    "SCORING_RUNS": ("5", 5),
    "SCORING_DEADLINE": ("60", 60.0),
    "SCORING_CALLS": ("2", 2),
    "WORKER": ("off", False),
    "PAGES": ("off", False),
    "PUBLIC_URL": ("https://jobs.example.com/ai/", "https://jobs.example.com/ai"),
    "CONTACT": ("jobs@example.com", "jobs@example.com"),
    "DATABASE_URL": ("sqlite:////data/messages.db", "sqlite:////data/messages.db"),
    "DATABASE_LOCK_TIMEOUT": ("2", 2.0),
    "DATABASE_STATEMENT_TIMEOUT": ("3.5", 3.5),
    "DATABASE_POOL_SIZE": ("11", 11),
    "MAX_PROMPT_CHARS": ("1", 1),
    "MAX_MESSAGE_CHARS": ("2", 2),
    "MAX_KEY_CHARS": ("3", 3),
    "MAX_TRANSCRIPT_CHARS": ("4", 4),
    "MAX_BODY_BYTES": ("5", 5),
    "CLIENT_TIMEOUT": ("7", 7.0),
    "MAX_MODEL_CALLS": ("8", 8),
    "WORKER_THREADS": ("9", 9),
    "WEB_CONCURRENCY": ("10", 10),
    "API_KEYS": ("key, sha256:" + "0F" * 32, (sha256(b"key").digest(), bytes([15] * 32))),
    "SECRET_KEY": ("new, old", ("new", "old")),
    "RATE_LIMITS": ("off", False),
    "LIMIT_REPLIES": ("1/second", "1/second"),
    "LIMIT_STARTS": ("2 per hour", "2 per hour"),
    "LIMIT_TOKENS": ("3/day;1/hour", "3/day;1/hour"),
    "LIMIT_SCORES": ("6/minute", "6/minute"),
    "LIMIT_RECORDS": ("9/minute", "9/minute"),
    "LIMIT_WRONG_KEYS": ("4/minute", "4/minute"),
    "LIMIT_WRONG_INVITATIONS": ("6/minute", "6/minute"),
    "LIMIT_BAD_REQUESTS": ("5/minute", "5/minute"),
    "REDIS_URL": ("rediss://localhost/1", "rediss://localhost/1"),
    "TRUSTED_PROXIES": ("2", 2),
    "CORS_ORIGINS": (
        "https://a.example.com, http://localhost:3000",
        ("https://a.example.com", "http://localhost:3000"),
    ),
    "METRICS": ("On", True),
    "PORT": ("6", 6),
}


def test_there_is_an_example_of_every_setting() -> None:
    assert list(EXAMPLES) == [field.name.upper() for field in dataclasses.fields(Config)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_setting_is_read_from_the_variable_of_its_name(name: str) -> None:
    value, setting = EXAMPLES[name]
    default = load(KEY)
    assert getattr(default, name.lower()) != setting
    assert load({**KEY, name: value}) == dataclasses.replace(default, **{name.lower(): setting})


def test_all_settings_are_read_together() -> None:
    variables = {name: value for name, (value, _) in EXAMPLES.items()}
    settings = {name.lower(): setting for name, (_, setting) in EXAMPLES.items()}
    assert load(variables) == Config(**settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REPLY_DEADLINE", "soon"),
        ("REPLY_DEADLINE", "0"),
        ("REPLY_DEADLINE", "-1"),
        ("REPLY_DEADLINE", "nan"),
        ("REPLY_DEADLINE", "inf"),
        ("MAX_MESSAGE_CHARS", "0"),
        ("MAX_MESSAGE_CHARS", "-5"),
        ("MAX_MESSAGE_CHARS", "1e4"),
        ("MAX_MESSAGE_CHARS", "9" * 5000),
        ("OPENAI_MODEL", ","),
        ("OPENAI_MODEL", "?reasoning_effort=none"),
        ("OPENAI_MODEL", "gpt-6-luna?"),
        ("OPENAI_MODEL", "gpt-6-luna?reasoning_effort=none&"),
        ("OPENAI_MODEL", "gpt-6-luna?reasoning_effort"),
        ("OPENAI_MODEL", "gpt-6-luna?reasoning_effort=much"),
        ("OPENAI_MODEL", "gpt-6-luna?reasoning_effort=low&reasoning_effort=low"),
        ("OPENAI_MODEL", "gpt-6-luna?messages=[]"),
        ("OPENAI_MODEL", "gpt-6-luna?stream=false"),
        ("OPENAI_MODEL", "gpt-6-luna?Temperature=1"),
        ("OPENAI_MODEL", "gpt-4o-mini?temperature=hot"),
        ("OPENAI_MODEL", "gpt-4o-mini?temperature=nan"),
        ("OPENAI_MODEL", "gpt-4o-mini?temperature=2.1"),
        ("OPENAI_MODEL", "gpt-4o-mini?top_p=-1"),
        ("OPENAI_MODEL", "gpt-4o-mini?max_completion_tokens=0"),
        ("OPENAI_MODEL", "gpt-4o-mini?seed=1.5"),
        ("OPENAI_BASE_URL", "api.openai.com/v1"),
        ("OPENAI_BASE_URL", "ftp://api.openai.com/v1"),
        ("OPENAI_BASE_URL", "https:///v1"),
        ("PUBLIC_URL", "jobs.example.com"),
        ("PUBLIC_URL", "https://jobs.example.com/?a=b"),
        ("PUBLIC_URL", "https://jobs.example.com/#room"),
        ("PAGES", "none"),
        ("PORT", "http"),
        ("METRICS", "yes"),
        ("SECRET_KEY", ","),
        ("LIMIT_REPLIES", "20"),
        ("LIMIT_REPLIES", "0/minute"),
        ("LIMIT_STARTS", "many/minute"),
        ("LIMIT_TOKENS", ";"),
        ("LIMIT_WRONG_KEYS", "10/fortnight"),
        ("REDIS_URL", "localhost:6379"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "all"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://app.example.com,https://*.example.com"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(StartError, match=name):
        load({**KEY, name: value})


def test_a_model_may_have_parameters_of_its_own() -> None:
    written = (
        "llama, gpt-6-luna ? reasoning_effort=high & verbosity=low & service_tier=flex"
        " & max_completion_tokens=2000, ft:gpt-4o-mini:us::1?temperature=0.5&top_p=1"
        "&frequency_penalty=-2&presence_penalty=0&seed=0"
    )
    models = load({**KEY, "OPENAI_MODEL": written}).openai_model
    assert models == (
        Model("llama"),
        Model(
            "gpt-6-luna",
            {
                "reasoning_effort": "high",
                "verbosity": "low",
                "service_tier": "flex",
                "max_completion_tokens": 2000,
            },
        ),
        Model(
            "ft:gpt-4o-mini:us::1",
            {
                "temperature": 0.5,
                "top_p": 1.0,
                "frequency_penalty": -2.0,
                "presence_penalty": 0.0,
                "seed": 0,
            },
        ),
    )
    assert load({**KEY, "OPENAI_MODEL": ",".join(map(str, models))}).openai_model == models


def test_every_limit_is_one_that_the_counter_understands() -> None:
    defaults = Config(openai_api_key="sk-a")
    for field in dataclasses.fields(Config):
        if field.name.startswith("limit_"):
            default = getattr(defaults, field.name)
            assert load({**KEY, field.name.upper(): default}) == defaults


@pytest.mark.parametrize("key", ["", " ", "sk-ä", "sk-a\nb"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(StartError, match="OPENAI_API_KEY") as caught:
        load({"OPENAI_API_KEY": key})
    assert "sk-" not in str(caught.value)
