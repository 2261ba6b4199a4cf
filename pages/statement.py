"""An explanation in plain words, as its applicant reads it, in each of the room's languages.

The sentences are here, and not in a template, as the JSON has them too.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from records.explanation import Explanation, Outcome, Rating

Translate = Callable[[str], str]
"""Returns an English text of this module in another language."""


class Section(NamedTuple):
    """A part of the statement."""

    name: str
    heading: str
    paragraphs: Sequence[str]


def statement(explanation: Explanation, contact: str | None, _: Translate) -> list[Section]:
    """Return the statement.

    Args:
        explanation: What it says.
        contact: Whom applicants may ask; None for those who have invited them.
        _: Translates.

    """
    rating, outcome = explanation.rating, explanation.outcome
    sections = [
        Section("interview", _("How the interview was held"), _interview(explanation, _)),
        Section("rating", _("How your answers were rated"), _rated(rating, _)),
        Section("decision", _("The decision"), _decision(explanation, _)),
    ]
    if outcome is not None and outcome.criteria:
        sections.append(Section("criteria", _("What counted"), _criteria(outcome, _)))
    if outcome is not None and outcome.set_aside:
        told = _(
            "These sentences of yours looked as if they were meant for the AI that rates. They were"
            " hidden from it, and did not count against you."
        )
        sections.append(Section("set_aside", _("What was set aside"), [told]))
    sections.append(Section("contest", _("If you disagree"), _contest(explanation, contact, _)))
    return sections


def moment(stored: str) -> str:
    """Return a stored time as it is written in any language."""
    return f"{stored[:10]} {stored[11:16]} UTC"


def _interview(explanation: Explanation, _: Translate) -> list[str]:
    begin = moment(explanation.started_at)
    if explanation.finished_at is None:
        told = _(
            "An AI, which is a computer program, has asked you questions in writing since"
            " %(begin)s. The interview is not finished."
        ) % {"begin": begin}
    else:
        told = _(
            "An AI, which is a computer program, asked you questions in writing, from %(begin)s to"
            " %(end)s."
        ) % {"begin": begin, "end": moment(explanation.finished_at)}
    paragraphs = [told]
    if explanation.models:
        models = ", ".join(explanation.models)
        paragraphs.append(_("The AI that asked was %(models)s.") % {"models": models})
    paragraphs.append(
        _("The people who invited you have set down what it asks. The AI decides nothing.")
    )
    return paragraphs


def _rated(rating: Rating | None, _: Translate) -> list[str]:
    if rating is None:
        return [_("No rating of your answers by an AI was used.")]
    return [
        _(
            "On %(date)s, an AI rated your answers, criterion by criterion, as advice for the"
            " people who decide. It was %(models)s."
        )
        % {"date": moment(rating.made_at), "models": ", ".join(rating.models)},
        _(
            "Ratings of each criterion, independent of each other: %(runs)s. The middle one counts;"
            " where they are far apart, a person is asked. The criteria had version %(rubric)s, and"
            " the instructions to the AI version %(prompt)s."
        )
        % {
            "runs": rating.runs,
            "rubric": rating.rubric_version,
            "prompt": rating.prompt_version,
        },
        _(
            "It read placeholders in the place of your name and your e-mail address. A rating"
            " counts only if it rests on words that are found in your answers."
        ),
    ]


def _decision(explanation: Explanation, _: Translate) -> list[str]:
    outcome = explanation.outcome
    if outcome is None:
        return [
            _(
                "No decision has been made yet. A person makes it, and not the AI. Once it is made,"
                " you can read here what it is, why, and which of your words counted."
            )
        ]
    decision = outcome.decision
    sentences = {
        "selected": _("You were selected."),
        "potential": _("You are among those who are still considered."),
        "rejected": _("You were not selected."),
    }
    return [
        sentences[decision.decision],
        _("%(reviewer)s decided this on %(date)s, for this reason:")
        % {"reviewer": decision.reviewer, "date": moment(decision.created_at)},
        decision.reason,
        _("A person has made this decision. The rating by the AI was advice.")
        if outcome.criteria
        else _("A person has made this decision, without a rating by the AI."),
    ]


def _criteria(outcome: Outcome, _: Translate) -> list[str]:
    paragraphs = [
        _(
            "You were rated by these criteria, each from 1 to 5. Below each are the words of yours"
            " that counted."
        )
    ]
    if outcome.total is not None:
        paragraphs.append(
            _("Together, the scores come to %(total)s of 5.") % {"total": f"{outcome.total:.1f}"}
        )
    return paragraphs


def _contest(explanation: Explanation, contact: str | None, _: Translate) -> list[str]:
    whom = contact or _("the people who invited you")
    paragraphs = [
        _(
            "You may ask that a person looks at the decision again, and say what you think of it."
            " Please ask %(whom)s; also if something that is kept about you is wrong."
        )
        % {"whom": whom}
    ]
    if explanation.correction_until is not None:
        paragraphs.append(
            _("Until %(date)s you can add a note to any message of your own.")
            % {"date": moment(explanation.correction_until)}
        )
    return paragraphs
