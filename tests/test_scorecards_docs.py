"""The way from a position to a spreadsheet, as docs/scorecards.md shows it, by curl."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from server import APP_FOLDER, development_server
from waiting import wait_until

DOCS = (APP_FOLDER / "docs" / "scorecards.md").read_text()
STORY = DOCS.partition("### From a position to a spreadsheet\n")[2].partition("\n### ")[0]
BLOCKS = re.findall(r"```bash\n(.*?)```\n(?:```\w*\n(.*?)```\n)?", STORY, re.DOTALL)


def alike(text: str) -> str:
    """Return the text without what differs from one time to the next."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def shown(output: str) -> Any:
    return json.loads(alike(output.replace("{...}", "null")))


def without_record(output: str) -> Any:
    body = json.loads(alike(output))
    assert body["scorecard"]["record"]["runs"]
    body["scorecard"]["record"] = None
    return body


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_way_from_a_position_to_a_spreadsheet_is_as_the_docs_show(tmp_path: Path) -> None:
    (put, _), (hold, _), score, get, (review, _), compare, as_csv = BLOCKS
    with development_server(tmp_path) as port:

        def run(command: str) -> str:
            command = command.replace("127.0.0.1:5000", f"127.0.0.1:{port}")
            environment = {"PATH": os.environ["PATH"]}
            return subprocess.run(
                ["bash", "-c", command],
                env=environment,
                capture_output=True,
                check=True,
                text=True,
                timeout=60,
            ).stdout

        assert json.loads(run(put))["position"]["rubricVersion"] == 1
        assert "Thank you for your time and insights" in run(hold)
        pending = run(score[0])
        assert json.loads(alike(pending)) == shown(score[1])
        scorecard_id = json.loads(pending)["scorecard_id"]

        wait_until(lambda: json.loads(run(get[0]))["scorecard"]["state"] == "scored")
        assert without_record(run(get[0])) == shown(get[1])

        reviewed = json.loads(run(review.replace('"ID"', f'"{scorecard_id}"')))["scorecard"]
        assert reviewed["total"] == 3.0
        (criterion,) = reviewed["criteria"]
        assert (criterion["score"], criterion["machine_score"]) == (3, 4)
        assert [one["reviewer"] for one in reviewed["reviews"]] == ["J. Weber"]

        assert json.loads(alike(run(compare[0]))) == shown(compare[1])
        assert alike(run(as_csv[0])).replace("\r\n", "\n") == alike(as_csv[1])
