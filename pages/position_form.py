"""The form of a position: what was typed, as a position, and what is wrong with it, by field.

A form has rows of questions and of criteria, whose names begin with `q0_`, `q1_` and so on. Rows in
which nothing was typed do not count.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from positions.position import MAX_CRITERIA, MAX_QUESTIONS, PositionBody, json_of
from positions.queries import StoredPosition
from web.bodies import Json, sentence_of, storable
from web.errors import BadField

SCORES = ("1", "2", "3", "4", "5")
QUESTION = ("text", "follow_ups")
CRITERION = ("id", "title", "definition", "weight", *SCORES)

# What a row holds in which nothing was typed.
BLANK = {"follow_ups": "1", "weight": "1"}

# The name of a field of the form, by its place in the JSON of a position.
FIELDS = {
    "plan.objective": "objective",
    "plan.questions": "q0_text",
    "plan.language": "language",
    "timeLimit": "minutes",
    "notice.text": "notice",
    "notice.language": "notice_language",
    "correctionHours": "correction_hours",
    "retentionDays": "retention_days",
    "rubric.criteria": "c0_title",
    "rubric.minCoverage": "coverage",
    "rubric.weightsRationale": "rationale",
    "rubric": "rationale",
}


class PositionForm:
    """What stands in the form's fields."""

    def __init__(self, values: Mapping[str, str]) -> None:
        # As it was before a browser, which ends lines by two characters, made a form of it.
        values = {name: text.replace("\r\n", "\n") for name, text in values.items()}
        self.values = values
        self.errors: dict[str, str] = {}
        """What is wrong with a field, by its name; what belongs to none is under an empty name."""
        self.is_draft = False
        """Whether the criteria are a proposal that nobody has looked at."""
        self.questions = _rows(values, "q", QUESTION, MAX_QUESTIONS)
        self.criteria = _rows(values, "c", CRITERION, MAX_CRITERIA)

    def body(self, metadata: Mapping[str, str], *, is_open: bool) -> PositionBody | None:
        """Return the position; None if something is wrong, which is then in `errors`."""
        return self._checked({**self._json(), "metadata": dict(metadata), "isOpen": is_open})

    def without_rubric(self) -> StoredPosition | None:
        """Return what a rubric could be drafted for; None if something is wrong with it."""
        value = self._json()
        value.pop("rubric", None)
        body = self._checked(value)
        if body is None:
            return None
        plan = None if body.plan is None else json_of(body.plan)
        return StoredPosition(
            "", body.title, body.prompt or "", True, None, False, plan, {}, "", "", None
        )

    def put_rubric(self, rubric: Json) -> None:
        """Put a draft of a rubric in the place of the criteria."""
        self.criteria = [_criterion_fields(criterion) for criterion in rubric["criteria"]]
        self.is_draft = True

    def add_criterion(self) -> None:
        """Add an empty row for one more criterion."""
        self.criteria.append({name: BLANK.get(name, "") for name in CRITERION})

    def _checked(self, value: Json) -> PositionBody | None:
        try:
            for name, text in self.values.items():
                storable(name, text)
            body = PositionBody.model_validate(value, strict=True)
        except BadField as error:
            self.errors[""] = str(error)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                self._add(detail["loc"], sentence_of(dict(detail)))
        return None if self.errors else body

    def _json(self) -> Json:
        value: Json = {"title": self.values.get("title", "").strip()}
        if self.values.get("kind") == "prompt":
            value["prompt"] = self.values.get("prompt", "")
        else:
            value["plan"] = {
                "objective": self.values.get("objective", "").strip(),
                "language": self.values.get("language", "").strip() or "English",
                "questions": [
                    {"text": row["text"].strip(), "followUps": _number(row["follow_ups"])}
                    for _, row in self._typed(self.questions)
                ],
            }
        minutes = _number(self.values.get("minutes", ""))
        if minutes is not None:
            # Whole seconds, of which the form shows minutes with six digits at most.
            value["timeLimit"] = minutes if isinstance(minutes, str) else round(minutes * 60)
        notice = self.values.get("notice", "").strip()
        if notice:
            language = self.values.get("notice_language", "").strip()
            value["notice"] = {"text": notice, "language": language or "English"}
        value["consentRequired"] = self.values.get("consent") == "yes"
        value["correctionHours"] = _number(self.values.get("correction_hours", ""))
        value["retentionDays"] = _number(self.values.get("retention_days", ""))
        value["scoring"] = "automatic" if self.values.get("scoring") == "automatic" else "manual"
        criteria = [row for _, row in self._typed(self.criteria)]
        if criteria:
            value["rubric"] = {
                "criteria": list(map(_criterion_json, criteria, _ids(criteria))),
                "minCoverage": _share(self.values.get("coverage", "")),
                "weightsRationale": self.values.get("rationale", "").strip() or None,
            }
        return value

    def _typed(self, rows: list[dict[str, str]]) -> list[tuple[int, dict[str, str]]]:
        return [(number, row) for number, row in enumerate(rows) if not _is_blank(row)]

    def _add(self, place: tuple[str | int, ...], sentence: str) -> None:
        name = self._field(place)
        label = f"This {sentence}" if name else sentence
        self.errors.setdefault(name, label)

    def _field(self, place: tuple[str | int, ...]) -> str:
        """Return the name of the field that a place in the position's JSON comes from."""
        match place:
            case ("plan", "questions", int(number), member, *_):
                row, _ = self._typed(self.questions)[number]
                return f"q{row}_{'follow_ups' if member == 'followUps' else member}"
            case ("rubric", "criteria", int(number), "anchors", str(score), *_):
                row, _ = self._typed(self.criteria)[number]
                return f"c{row}_{score}"
            case ("rubric", "criteria", int(number), member, *_):
                row, _ = self._typed(self.criteria)[number]
                return f"c{row}_{'1' if member == 'anchors' else member}"
        name = ".".join(map(str, place))
        return FIELDS.get(name, name if name in ("title", "prompt") else "")


def values_of(position: StoredPosition) -> dict[str, str]:
    """Return what the form of a stored position shows at first."""
    plan = position.plan
    values = {
        "title": position.title,
        "kind": "prompt" if plan is None else "plan",
        "prompt": position.prompt if plan is None else "",
        "minutes": "" if position.time_limit is None else f"{position.time_limit / 60:g}",
        "scoring": "automatic" if position.is_scored_automatically else "manual",
        "consent": "yes" if position.is_consent_required else "",
        "correction_hours": str(position.correction_hours),
        "retention_days": str(position.retention_days or ""),
        "updated_at": position.updated_at,
    }
    if position.has_own_notice and position.notice is not None:
        values |= {
            "notice": position.notice.text,
            "notice_language": position.notice.language,
        }
    if plan is not None:
        values |= {"objective": plan["objective"], "language": plan["language"]}
        for number, question in enumerate(plan["questions"]):
            values[f"q{number}_text"] = question["text"]
            values[f"q{number}_follow_ups"] = str(question["followUps"])
    if position.rubric is not None:
        rubric = position.rubric.body
        values["coverage"] = f"{100 * rubric['minCoverage']:g}"
        values["rationale"] = rubric["weightsRationale"] or ""
        for number, criterion in enumerate(rubric["criteria"]):
            fields = _criterion_fields(criterion)
            values |= {f"c{number}_{name}": text for name, text in fields.items()}
    return values


def _rows(
    values: Mapping[str, str], letter: str, names: tuple[str, ...], most: int
) -> list[dict[str, str]]:
    """Return the rows of the form, up to the last one that it has."""
    given = [
        number
        for number in range(most)
        if any(f"{letter}{number}_{name}" in values for name in names)
    ]
    return [
        {name: values.get(f"{letter}{number}_{name}", BLANK.get(name, "")) for name in names}
        for number in given
    ]


def _is_blank(row: Mapping[str, str]) -> bool:
    return not any(text.strip() for name, text in row.items() if name not in (*BLANK, "id"))


def _criterion_fields(criterion: Mapping[str, Any]) -> dict[str, str]:
    return {
        "id": criterion["id"],
        "title": criterion["title"],
        "definition": criterion["definition"],
        "weight": f"{criterion['weight']:g}",
        **{score: criterion["anchors"].get(score) or "" for score in SCORES},
    }


def _criterion_json(row: Mapping[str, str], criterion_id: str) -> Json:
    return {
        "id": criterion_id,
        "title": row["title"].strip(),
        "definition": row["definition"].strip(),
        "weight": _number(row["weight"] or "1"),
        "anchors": {
            score: row[score].strip() or (None if score in "24" else "") for score in SCORES
        },
    }


def _ids(rows: list[dict[str, str]]) -> list[str]:
    """Return an id for each criterion: the one that it has, or one made of its title."""
    taken = {row["id"] for row in rows if row["id"]}
    ids = []
    for row in rows:
        criterion_id = row["id"]
        if not criterion_id:
            plain = unicodedata.normalize("NFKD", row["title"]).encode("ascii", "ignore").decode()
            base = re.sub("[^a-z0-9]+", "_", plain.lower()).strip("_")[:36] or "criterion"
            names = [base, *(f"{base}_{number}" for number in range(2, MAX_CRITERIA + 2))]
            criterion_id = next(name for name in names if name not in taken)
            taken.add(criterion_id)
        ids.append(criterion_id)
    return ids


def _number(text: str) -> float | int | str | None:
    """Return a number as typed; text that is none unchanged, which the position then refuses."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    if re.fullmatch(r"\d{1,6}", text):
        return int(text)
    return float(text) if re.fullmatch(r"\d{1,6}\.\d{1,6}", text) else text


def _share(text: str) -> float | str:
    number = _number(text.replace("%", ""))
    return 0.6 if number is None else number / 100 if not isinstance(number, str) else number
