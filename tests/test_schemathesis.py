"""openapi.yaml as whoever has nothing else reads it: requests made from it, by the thousand.

Schemathesis makes them, and holds each answer of the real gunicorn against the description.
"""

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from access.errors import TokensOff
from errors import ApiError
from interviews.errors import (
    AlreadyStarted,
    ConsentMissing,
    Finished,
    KeyReused,
    NoPrompt,
    NotStarted,
    PositionClosed,
)
from invitations.errors import (
    InvitationClosed,
    InvitationExpired,
    InvitationReplaced,
    InvitationRevoked,
    NotInvited,
    UnknownInvitation,
)
from positions.errors import NoPosition
from records.errors import (
    NobodyToAsk,
    NoMessage,
    NothingKept,
    NoticeReplaced,
    NotOver,
    NotTheApplicants,
    UnknownApplicant,
    UnknownNotice,
)
from records.errors import NoInterview as NoInterviewOfRecords
from scorecards.errors import (
    NoCriterion,
    NoInterview,
    NoRubric,
    NoScorecard,
    NotFinished,
    NotReviewable,
)
from scorecards.errors import NoPosition as NoPositionToRateBy
from server import Gunicorn
from web.error_handlers import body_of, status_of

KEY = "a-recruiters-key-that-nobody-guesses"
WITH_KEYS = {"API_KEYS": KEY, "SECRET_KEY": "s" * 43}
SEED = "20261123"
# For each operation; what comes of it takes under a minute.
MAX_EXAMPLES = "200"

# Why a request that is as described may be refused all the same.
REFUSALS: dict[str, tuple[type[ApiError], ...]] = {
    "/start_interview": (*(AlreadyStarted, ConsentMissing, KeyReused, NoPrompt, PositionClosed),),
    "/reply": (NotStarted, Finished, KeyReused),
    "/applicant_token": (TokensOff,),
    "/revoke_applicant_token": (TokensOff,),
    "/positions": (NoPosition,),
    "/positions/{access_key}": (NoPosition,),
    "/draft_rubric": (NoPosition,),
    "/score_interview": (NoInterview, NotFinished, NoPositionToRateBy, NoRubric),
    "/get_scorecard/{access_key}/{name}/{email}": (NoScorecard,),
    "/review_scorecard": (NoScorecard, NoCriterion, NotReviewable),
    "/decide": (UnknownApplicant,),
    "/explain/{access_key}/{name}/{email}": (NoInterviewOfRecords,),
    "/notice/{access_key}": (NoPosition, UnknownNotice),
    "/consent": (NoPosition, NoticeReplaced, UnknownNotice),
    "/another_way": (NobodyToAsk,),
    "/correct_message": (NoInterviewOfRecords, NoMessage, NotOver, NotTheApplicants),
    "/export_interview/{access_key}/{name}/{email}": (NothingKept,),
    "/export_interviews/{access_key}": (NothingKept,),
    "/invitations": (NoPosition,),
    "/revoke_invitation": (NotInvited,),
    "/open_invitation": (
        *(UnknownInvitation, InvitationClosed),
        *(InvitationExpired, InvitationReplaced, InvitationRevoked),
    ),
}
# What a description cannot say of a position's body.
BAD_POSITION = re.compile(
    r"rubric\.criteria(\[\d\]\.anchors must all be different| must all have different ids)\."
    r"|rubric must have a weightsRationale, as its weights are unequal\."
)

# The tool's own doubts: it takes 404 for what it could not reach, 422 for what the API finds wrong.
DOUBTS = {"missing_test_data", "validation_mismatch", "unused_openapi_auth"}


def refused(events: Path) -> Iterator[tuple[str, int, Any]]:
    """Each refusal of a request that was meant to be valid: path, status and body."""
    for line in events.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for identity, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][identity]["value"]
            status = interaction["response"]["status_code"]
            is_valid = case["meta"] and case["meta"]["generation"]["mode"] == "positive"
            if is_valid and status not in (200, 202, 401):
                body = b64decode(interaction["response"]["content"]["$base64"])
                yield case["path"], status, json.loads(body)


@pytest.mark.long
@pytest.mark.parametrize("keys", [{}, WITH_KEYS], ids=["open", "with keys"])
def test_no_answer_strays_from_the_description(
    make_server: Callable[..., Gunicorn], tmp_path: Path, keys: dict[str, str]
) -> None:
    server = make_server(METRICS="on", **keys).start()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
            *("run", f"http://127.0.0.1:{server.port}/openapi.json"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--checks", "all"),
            *("--seed", SEED, "--max-examples", MAX_EXAMPLES, "--generation-database", "none"),
            *("--report-json-path", "report.json", "--report-ndjson-path", "events"),
            *("--output-sanitize", "false", "--no-color"),
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "API_KEY": KEY},
        capture_output=True,
        check=False,
        text=True,
        timeout=900,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["complete"]
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}, told
    assert len(report["phases"]) == 4
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] > 1000
    assert {name for name, about in report["warnings"].items() if about} <= DOUBTS, told

    for path, status, body in refused(tmp_path / "events"):
        if path == "/positions/{access_key}" and BAD_POSITION.fullmatch(body["error"]):
            assert status == 400
            continue
        reasons = [(status_of(error), body_of(error())) for error in REFUSALS.get(path, ())]
        assert (status, body) in reasons, (path, status, body)
    assert "Traceback" not in server.log.read_text()
