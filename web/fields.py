"""The fields of a request, checked once: in its body, its path and its headers.

A field that cannot be accepted is raised, with a sentence that names it. Functions that a view's
`key_or_own_token` reads with return the view's arguments, the interview first.
"""

from collections.abc import Iterable
from urllib.parse import quote

from flask import request

from access.guard import is_applicant
from config import Config
from db import InterviewKey
from web.bodies import Json, bytes_for, json_object, storable
from web.errors import BadField, IncompleteParams
from web.service import service

KEY_FIELDS = ("accessKey", "name", "email")

# Characters of the Idempotency-Key header at most, as in Stripe's API.
MAX_IDEMPOTENCY_KEY_CHARS = 255

# Bytes of the three names in an interview's URL, percent-encoded. With what stands around them it
# must be within gunicorn.conf.py's `limit_request_line`.
MAX_URL_BYTES = 8000

# Characters of a review's fields at most, and of all of them together.
MAX_REASON_CHARS = 2000
MAX_REVIEWER_CHARS = 320
MAX_REVIEW_CHARS = MAX_REASON_CHARS + MAX_REVIEWER_CHARS + 100

# Characters of a note to a message.
MAX_NOTE_CHARS = 2000

# The digits of a notice's version at most.
MAX_VERSION_DIGITS = 9

# Characters of a decision's fields together.
MAX_DECISION_CHARS = MAX_REASON_CHARS + MAX_REVIEWER_CHARS + 20

# Characters of the fields of a legal hold together.
MAX_HOLD_CHARS = MAX_REASON_CHARS + MAX_REVIEWER_CHARS

# Browsers and HTTP clients take these out of a URL, percent-encoded or not.
TAKEN_OUT_OF_URLS = (".", "..")

# Positions that a list has, unless the request says otherwise.
POSITIONS_IN_PAGE = 100
MAX_POSITIONS = 1000

# Seconds that an applicant's token opens its interview: a day, unless the request says otherwise.
TOKEN_LIFETIME = 86_400
MAX_TOKEN_LIFETIME = 30 * 86_400

# Seconds that an invitation can be opened: two weeks, unless the request says otherwise.
INVITATION_LIFETIME = 14 * 86_400
MAX_INVITATION_LIFETIME = 90 * 86_400

# A client's own strings: how many there may be, and the characters of a name and of a string.
MAX_METADATA = 20
MAX_METADATA_NAME_CHARS = 100
MAX_METADATA_CHARS = 500
_METADATA_CHARS = MAX_METADATA * (MAX_METADATA_NAME_CHARS + MAX_METADATA_CHARS)

# Characters of an invitation's secret, with room for what a mail program adds to a link.
MAX_SECRET_CHARS = 500


def interview_and_prompt() -> tuple[InterviewKey, str | None]:
    """Return the interview that the body of a start names, and its prompt.

    The prompt is None if it is missing, null or blank: then the access key has a position, whose
    prompt it is.

    Raises:
        IncompleteParams: A field is missing, null or blank.
        BadField: A field cannot be accepted.
        BadJson: The body is not a JSON object.

    """
    max_chars = service().config.max_prompt_chars
    body = _fields(max_chars)
    _refuse_incomplete(body, KEY_FIELDS)
    has_prompt = _is_given(body, "prompt")
    # Before the others are looked at: without a position, a start without a prompt is incomplete.
    # To an applicant the interview says so, lest they learn which access keys have a position.
    if not (has_prompt or is_applicant() or _names_position(body)):
        raise IncompleteParams
    interview = _interview(body)
    prompt = _text(body, "prompt", max_chars) if has_prompt else None
    _refuse_unreadable(interview)
    return interview, prompt


def interview_and_message() -> tuple[InterviewKey, str]:
    """Return the interview that the body of a reply names, and the applicant's message."""
    return _interview_and_text("message", service().config.max_message_chars)


def interview_and_lifetime() -> tuple[InterviewKey, int]:
    """Return the interview that a token is asked for, and the token's lifetime in seconds."""
    body = _fields(0)
    interview = _interview(body)
    lifetime = _lifetime(body, TOKEN_LIFETIME, MAX_TOKEN_LIFETIME)
    _refuse_unreadable(interview)
    return interview, lifetime


def interview_to_invite() -> tuple[InterviewKey, int, dict[str, str]]:
    """Return an invitation's interview, its lifetime in seconds, and the client's own strings."""
    body = _fields(_METADATA_CHARS)
    interview = interview_of_fields(body)
    lifetime = _lifetime(body, INVITATION_LIFETIME, MAX_INVITATION_LIFETIME)
    return interview, lifetime, _metadata(body)


def secret_of_body() -> str:
    """Return the secret of the invitation that is to be opened."""
    body = json_object(bytes_for(MAX_SECRET_CHARS))
    if body.get("secret") in (None, ""):
        raise IncompleteParams
    return _text(body, "secret", MAX_SECRET_CHARS)


def interview_of_fields(fields: Json) -> InterviewKey:
    """Return the interview that fields name, from wherever they come, if it can be started."""
    interview = _interview(fields)
    _refuse_unreadable(interview)
    return interview


def interview_of_body() -> InterviewKey:
    """Return the interview that the body names."""
    return _interview(_fields(0))


def interview_and_fields(further_chars: int) -> tuple[InterviewKey, Json]:
    """Return the interview that the body names, and the body, whose other fields are unchecked.

    Args:
        further_chars: The characters that the other fields have together at most.

    """
    body = _fields(further_chars)
    return _interview(body), body


def subject_of_hold(further_chars: int) -> tuple[str, InterviewKey | None, Json]:
    """Return the access key of the body, the interview unless it names none, and the body."""
    body = _fields(further_chars)
    if _is_given(body, "name") or _is_given(body, "email"):
        interview = _interview(body)
        return interview.access_key, interview, body
    _refuse_incomplete(body, ("accessKey",))
    return _access_key(body), None, body


def access_key_of_body() -> str:
    """Return the access key that the body names."""
    body = json_object(bytes_for(service().config.max_key_chars))
    _refuse_incomplete(body, ("accessKey",))
    return _access_key(body)


def interview_of_path(access_key: str, name: str, email: str) -> tuple[InterviewKey]:
    """Return the interview that a path names."""
    interview = InterviewKey(
        access_key_of_path(access_key),
        _part_of_key("name", storable("name", name)),
        _part_of_key("email", storable("email", email)),
    )
    return (interview,)


def notice_of_query(access_key: str) -> tuple[InterviewKey, int | None]:
    """Return who asks for the position's notice, and the version that is asked for, if any.

    An applicant is named by `name` and `email`, both of which a key's holder may leave out: then
    they are empty, as no interview has them.
    """
    version = request.args.get("version")
    is_number = version is None or (version.isascii() and version.isdigit())
    if not is_number or (version and not 0 < len(version) <= MAX_VERSION_DIGITS):
        raise BadField("version must be a whole number.")
    name, email = request.args.get("name", ""), request.args.get("email", "")
    (applicant,) = interview_of_path(access_key, name, email)
    return applicant, None if version is None else int(version)


def access_key_of_path(access_key: str) -> str:
    """Return the access key that a path names."""
    return _part_of_key("access_key", storable("access_key", access_key))


def new_access_key_of_path(access_key: str) -> str:
    """Return the access key that a path names, if interviews can be started under it."""
    access_key = access_key_of_path(access_key)
    limit = service().config.max_key_chars
    if not access_key.strip():
        raise BadField("access_key must not be blank.")
    if len(access_key) > limit:
        raise BadField(f"access_key must not be longer than {limit} characters.")
    if access_key in TAKEN_OUT_OF_URLS:
        raise BadField(
            f"access_key must not be {access_key}: the position's URL could not be read."
        )
    return access_key


def page_of_positions() -> tuple[int, str | None]:
    """Return how many positions the query asks for, and the access key that they come after."""
    limit = whole_number_of_query("limit", POSITIONS_IN_PAGE, 1, MAX_POSITIONS)
    after = request.args.get("after")
    return limit, None if after is None else _part_of_key("after", storable("after", after))


def whole_number_of_query(name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query."""
    text = request.args.get(name, str(default))
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (is_number and least <= int(text) <= most):
        raise BadField(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def idempotency_key() -> str | None:
    """Return the request's Idempotency-Key, if it has one."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise BadField(
            f"Idempotency-Key must have between 1 and {MAX_IDEMPOTENCY_KEY_CHARS} characters."
        )
    return storable("Idempotency-Key", key)


def body_limits(config: Config) -> dict[bytes, int]:
    """Return the bytes that a body may have at most, by path, where a path has a limit of its own.

    The server refuses by it what the endpoint would refuse, before the body has arrived.
    """
    limits = {
        b"/start_interview": _max_bytes(config, config.max_prompt_chars),
        b"/reply": _max_bytes(config, config.max_message_chars),
        b"/applicant_token": _max_bytes(config, 0),
        b"/revoke_applicant_token": _max_bytes(config, 0),
        b"/draft_rubric": bytes_for(config.max_key_chars),
        b"/score_interview": _max_bytes(config, 0),
        b"/review_scorecard": _max_bytes(config, MAX_REVIEW_CHARS),
        b"/decide": _max_bytes(config, MAX_DECISION_CHARS),
        b"/consent": _max_bytes(config, 0),
        b"/another_way": _max_bytes(config, 0),
        b"/correct_message": _max_bytes(config, MAX_NOTE_CHARS),
        b"/legal_hold": _max_bytes(config, MAX_HOLD_CHARS),
        b"/invitations": _max_bytes(config, _METADATA_CHARS),
        b"/revoke_invitation": _max_bytes(config, 0),
        b"/open_invitation": bytes_for(MAX_SECRET_CHARS),
    }
    return {path: min(config.max_body_bytes, limit) for path, limit in limits.items()}


def _max_bytes(config: Config, text_chars: int) -> int:
    return bytes_for(len(KEY_FIELDS) * config.max_key_chars + text_chars)


def _fields(text_chars: int) -> Json:
    """Return a body that names an interview, and has a text of so many characters at most."""
    return json_object(_max_bytes(service().config, text_chars))


def _interview_and_text(text_field: str, max_chars: int) -> tuple[InterviewKey, str]:
    body = _fields(max_chars)
    interview = _interview(body, text_field)
    return interview, _text(body, text_field, max_chars)


def _interview(body: Json, *further_fields: str) -> InterviewKey:
    _refuse_incomplete(body, (*KEY_FIELDS, *further_fields))
    limit = service().config.max_key_chars
    return InterviewKey(*(_part_of_key(field, _text(body, field, limit)) for field in KEY_FIELDS))


def _access_key(body: Json) -> str:
    limit = service().config.max_key_chars
    return _part_of_key("accessKey", _text(body, "accessKey", limit))


def _refuse_incomplete(body: Json, fields: Iterable[str]) -> None:
    if not all(_is_given(body, field) for field in fields):
        raise IncompleteParams


def _is_given(body: Json, field: str) -> bool:
    """Return whether the field is neither missing nor null nor blank."""
    value = body.get(field)
    return value is not None and not (isinstance(value, str) and not value.strip())


def _names_position(body: Json) -> bool:
    """Return whether the body's access key is one that has a position."""
    access_key = body.get("accessKey")
    try:
        return isinstance(access_key, str) and service().interviews.has_position(
            storable("accessKey", access_key)
        )
    except BadField:
        return False


def _text(body: Json, field: str, max_chars: int) -> str:
    value = body[field]
    if not isinstance(value, str):
        raise BadField(f"{field} must be a string.")
    if len(value) > max_chars:
        raise BadField(f"{field} must not be longer than {max_chars} characters.")
    return storable(field, value)


def _lifetime(body: Json, default: int, most: int) -> int:
    lifetime = body.get("expiresIn")
    if lifetime is None:
        return default
    # To JSON 60.0 is a whole number; to Python true is one.
    is_whole = type(lifetime) is int or (type(lifetime) is float and lifetime.is_integer())
    if not (is_whole and 1 <= lifetime <= most):
        raise BadField(f"expiresIn must be whole seconds from 1 to {most}.")
    return int(lifetime)


def _refuse_unreadable(interview: InterviewKey) -> None:
    """Refuse an interview that could not be read at its URL. A name may hold slashes."""
    access_key, _, email = interview
    for field, value in (("accessKey", access_key), ("email", email)):
        if "/" in value:
            raise BadField(f"{field} must not hold a slash: the interview's URL could not be read.")
    for field, value in zip(KEY_FIELDS, interview, strict=True):
        if value in TAKEN_OUT_OF_URLS:
            raise BadField(f"{field} must not be {value}: the interview's URL could not be read.")
    if len(quote("".join(interview), safe="")) > MAX_URL_BYTES:
        raise BadField("accessKey, name and email are too long for the interview's URL.")


def _metadata(body: Json) -> dict[str, str]:
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or len(metadata) > MAX_METADATA:
        raise BadField(f"metadata must be an object of at most {MAX_METADATA} strings.")
    for name in metadata:
        if not 0 < len(storable("A name in metadata", name)) <= MAX_METADATA_NAME_CHARS:
            raise BadField(
                f"A name in metadata must have 1 to {MAX_METADATA_NAME_CHARS} characters."
            )
        value = metadata[name]
        if not isinstance(value, str) or len(value) > MAX_METADATA_CHARS:
            raise BadField(
                f"metadata.{name} must be a string of at most {MAX_METADATA_CHARS} characters."
            )
        storable(f"metadata.{name}", value)
    return metadata


def _part_of_key(field: str, value: str) -> str:
    """Return the value if it can name an interview.

    Broken UTF-8 in a URL becomes U+FFFD; different applicants could become the same.
    """
    if "\ufffd" in value:
        raise BadField(f"{field} must be valid UTF-8, without the replacement character U+FFFD.")
    return value
