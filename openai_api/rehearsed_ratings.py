"""The rehearsal's ratings of interviews, with true quotes.

No AI reads anything: the number of an applicant's longer sentences makes the score, so that who
says more gets more. It depends on nothing else than the request, so that the same request has the
same answer. Ratings go wrong on request, in every way that a model's can.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Characters of a quote that can be verified.
QUOTE_CHARS = range(12, 301)

# Words of a sentence that counts.
WORDS = 6

# The score for no sentence that counts, for one, for two and so on.
SCORES = (1, 2, 3, 3, 4, 4, 4, 5)

QUOTES = 3

# The name of what an applicant has noted to a turn.
NOTE = "note_after_the_interview"

RATIONALE = (
    "This is a rehearsal: no AI has read the interview. The score only counts the applicant's"
    " longer sentences."
)

INSTRUCTION = re.compile(r"\b(?:score|rate|rating|give|award)\b.*\b5\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A request for a rating, and the good answer to it."""

    turns: list[Json]
    sentences: list[tuple[int, str]]
    """The applicant's sentences that can be quoted, each after its message's id."""

    answer: Json
    request: Json

    requests: Iterable[Json]
    """The latest requests, this one included."""

    def claim(self, message_id: int, quote: str) -> Json:
        """Return the answer with this as its only quote."""
        evidence = [{"message_id": message_id, "quote": quote, "polarity": "supports"}]
        return {**self.answer, "evidence": evidence, "score": self.answer["score"] or 3}


def rating(request: Json, fault: str, requests: Iterable[Json]) -> str:
    """Return the answer to a request for a rating.

    Args:
        request: The body.
        fault: One of `RATING_FAULTS` in which the rating goes wrong; empty: none.
        requests: The latest requests, this one included.

    """
    question = _question(request, requests)
    answer = RATING_FAULTS[fault](question) if fault else question.answer
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _question(request: Json, requests: Iterable[Json]) -> Question:
    turns = _turns(request)
    sentences = list(_sentences(turns))
    counting = [sentence for sentence in sentences if len(sentence[1].split()) >= WORDS]
    # The criterion's own words choose the quotes, as far as sentences have any of them.
    words = set(re.findall(r"\w{4,}", request["messages"][-1]["content"].lower()))

    def fits(sentence: tuple[int, str]) -> tuple[int, int]:
        text = sentence[1].lower()
        return len(words.intersection(re.findall(r"\w{4,}", text))), len(text)

    quoted = sorted(counting or sentences, key=fits, reverse=True)[:QUOTES]
    score = SCORES[min(len(counting), len(SCORES) - 1)]
    polarity = "supports" if score >= 3 else "detracts"
    evidence = [
        {"message_id": message_id, "quote": quote, "polarity": polarity}
        for message_id, quote in sorted(quoted, key=lambda sentence: sentence[0])
    ]
    answer = {
        "evidence": evidence,
        "rationale": RATIONALE,
        "score": score if evidence else None,
    }
    return Question(turns, sentences, answer, request, requests)


def _turns(request: Json) -> list[Json]:
    """Return the turns of the interview in the request, wherever it has them."""
    for message in request["messages"]:
        start = message["content"].find('[{"message_id"')
        if start >= 0:
            turns: list[Json] = json.JSONDecoder().raw_decode(message["content"], start)[0]
            return turns
    return []


def _sentences(turns: list[Json]) -> Iterator[tuple[int, str]]:
    for turn in turns:
        if turn["speaker"] != "applicant":
            continue
        for sentence in re.findall(r"[^.!?\n]+[.!?]?", turn["text"]):
            text = sentence.strip()
            # Not what was masked, which has no letters.
            if len(text) in QUOTE_CHARS and re.search(r"[^\W\d_]{2}", text):
                yield turn["message_id"], text


def _said(question: Question) -> tuple[int, str]:
    """Return a sentence of the applicant's, or of nobody if there is none."""
    return question.sentences[0] if question.sentences else (0, "There is nothing to quote.")


def _changed(**values: object) -> Callable[[Question], Json]:
    return lambda question: {**question.answer, **values}


def _wrong_message(question: Question) -> Json:
    """Quote the applicant truly, and name another message of theirs."""
    message_id, quote = _said(question)
    others = [
        turn["message_id"]
        for turn in question.turns
        if turn["speaker"] == "applicant" and quote not in turn["text"]
    ]
    return question.claim(others[-1] if others else message_id + 1, quote)


def _another_interview(question: Question) -> Json:
    """Quote another interview that was to be rated before."""
    own = {turn["message_id"] for turn in question.turns}
    for request in question.requests:
        if "response_format" in request:
            for message_id, quote in _sentences(_turns(request)):
                if message_id not in own:
                    return question.claim(message_id, quote)
    return question.claim(max(own, default=0) + 1, _said(question)[1])


def _of_the_interviewer(question: Question) -> Json:
    for turn in question.turns:
        if turn["speaker"] == "interviewer" and turn["text"]:
            return question.claim(turn["message_id"], turn["text"][: QUOTE_CHARS[-1]])
    return question.claim(0, "What would you like to know from us?")


def _joined(question: Question) -> Json:
    """Join the beginning and the end of a message by an ellipsis."""
    message_id, quote = _said(question)
    texts = [turn["text"] for turn in question.turns if turn["message_id"] == message_id]
    words = (texts or [quote])[0].split()
    return question.claim(message_id, f"{' '.join(words[:4])} ... {' '.join(words[-4:])}")


def _too_long(question: Question) -> Json:
    """Quote a whole message, said again until it is too long."""
    message_id, quote = _said(question)
    return question.claim(message_id, quote * (QUOTE_CHARS.stop // len(quote) + 1))


def _instruction(question: Question) -> Json:
    """Quote the sentence that asks for a score."""
    for message_id, quote in question.sentences:
        if INSTRUCTION.search(quote):
            return question.claim(message_id, quote)
    return question.answer


def _of_a_note(question: Question) -> Json:
    """Quote what the applicant has noted after the interview."""
    for turn in question.turns:
        if turn.get(NOTE):
            return question.claim(turn["message_id"], turn[NOTE][: QUOTE_CHARS[-1]])
    return question.answer


def _obeying(question: Question) -> Json:
    """Give 5 if anybody asks for it, with true quotes."""
    texts = [text for turn in question.turns for text in (turn["text"], turn.get(NOTE, ""))]
    asks = any(map(INSTRUCTION.search, texts))
    return {**question.answer, "score": 5} if asks else question.answer


def _differing(question: Question) -> Json:
    """Give 1, 3 and 5 in turn to the same question."""
    messages = question.request["messages"]
    number = sum(messages == request["messages"] for request in question.requests)
    return {**question.answer, "score": (5, 1, 3)[number % 3]}


def _without_score(question: Question) -> Json:
    return {key: value for key, value in question.answer.items() if key != "score"}


def _half(question: Question) -> str:
    text = json.dumps(question.answer, ensure_ascii=False)
    return text[: len(text) // 2]


def _twice(question: Question) -> str:
    """Give two scores under the same key."""
    return json.dumps(question.answer)[:-1] + ', "score": 5}'


RATING_FAULTS: Mapping[str, Callable[[Question], Json | str]] = {
    "invented_quote": lambda question: question.claim(
        _said(question)[0], "I have led forty people and never made a mistake."
    ),
    "no_evidence": _changed(evidence=[], score=4),
    "wrong_message": _wrong_message,
    "unknown_message": lambda question: question.claim(2**40, _said(question)[1]),
    "another_interview": _another_interview,
    "interviewers_words": _of_the_interviewer,
    "too_short": lambda question: question.claim(_said(question)[0], _said(question)[1][:6]),
    "too_long": _too_long,
    "joined": _joined,
    "instruction_quoted": _instruction,
    "note_quoted": _of_a_note,
    "obeying": _obeying,
    "differing": _differing,
    "abstaining": _changed(evidence=[], score=None),
    "score_6": _changed(score=6),
    "score_as_text": _changed(score="4"),
    "fractional_score": _changed(score=3.5),
    "missing_key": _without_score,
    "extra_key": _changed(confidence=0.9),
    "key_twice": _twice,
    "half_a_rating": _half,
    "not_json": lambda _: "The applicant did well: 4 of 5.",
    "fenced": lambda question: f"```json\n{json.dumps(question.answer)}\n```",
}
"""The ways in which a rating can go wrong: what the rehearsal answers then."""
