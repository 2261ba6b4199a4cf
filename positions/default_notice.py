"""The notice that a position's applicants read where its recruiter has written none.

It says what the law of many places asks for (docs/scorecards.md has a table), as far as the service
knows it: the settings of the position, and whom applicants may ask.
"""

import tomllib
from functools import cache
from pathlib import Path

from positions.languages import language_of

TEXTS = Path(__file__).with_name("default_notices.toml")


def default_notice(
    language: str | None,
    *,
    is_rated: bool,
    correction_hours: int,
    retention_days: int | None,
    contact: str | None,
) -> tuple[str, str]:
    """Return the code of the notice's language, and the notice.

    Args:
        language: What the position calls the language of its interviews. A language that the
            applicant's room does not speak is answered in English.
        is_rated: Whether the position has a rubric to rate by.
        correction_hours: For how long applicants may add notes to their messages; 0 for never.
        retention_days: When interviews are erased by their age; None if they are not.
        contact: Whom applicants may ask; None for those who have invited them.

    """
    code = language_of(language or "") or "en"
    texts = _texts()[code]
    paragraphs = [
        texts["told"],
        texts["rated"] if is_rated else "",
        texts["person"],
        texts["kept_rated" if is_rated else "kept"],
        texts["no_retention"]
        if retention_days is None
        else texts["retention"].format(days=retention_days),
        texts["readers"],
        texts["other_way"],
        texts["correction"].format(hours=correction_hours) if correction_hours else "",
        texts["rights"].format(whom=contact or texts["inviters"]),
    ]
    return code, "\n\n".join(filter(None, paragraphs))


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(TEXTS.read_text("utf-8"))
