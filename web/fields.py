"""The fields of a request, checked once: in its body, its path and its headers.

A field that cannot be accepted is raised, with a sentence that names it. Functions that a view's
`key_or_own_token` reads with return the view's arguments, the interview first.
"""

from urllib.parse import quote

from flask import request

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


def interview_and_prompt() -> tuple[InterviewKey, str]:
    """Return the interview that the body of a start names, and its prompt.

    Raises:
        IncompleteParams: A field is missing, null or blank.
        BadField: A field cannot be accepted.
        BadJson: The body is not a JSON object.

    """
    interview, prompt = _interview_and_text("prompt", service().config.max_prompt_chars)
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


def interview_of_path(access_key: str, name: str, email: str) -> tuple[InterviewKey]:
    """Return the interview that a path names."""
    interview = InterviewKey(
        access_key_of_path(access_key),
        _part_of_key("name", storable("name", name)),
        _part_of_key("email", storable("email", email)),
    )
    return (interview,)


def access_key_of_path(access_key: str) -> str:
    """Return the access key that a path names."""
    return _part_of_key("access_key", storable("access_key", access_key))


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
    return {
        path: min(config.max_body_bytes, _max_bytes(config, text_chars))
        for path, text_chars in (
            (b"/start_interview", config.max_prompt_chars),
            (b"/reply", config.max_message_chars),
            (b"/applicant_token", 0),
            (b"/revoke_applicant_token", 0),
            (b"/invitations", _METADATA_CHARS),
            (b"/revoke_invitation", 0),
        )
    } | {b"/open_invitation": min(config.max_body_bytes, bytes_for(MAX_SECRET_CHARS))}


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
    for field in (*KEY_FIELDS, *further_fields):
        value = body.get(field)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise IncompleteParams
    limit = service().config.max_key_chars
    return InterviewKey(*(_part_of_key(field, _text(body, field, limit)) for field in KEY_FIELDS))


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
        # Browsers and HTTP clients take these out of a URL, percent-encoded or not.
        if value in (".", ".."):
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
        _text(metadata, name, MAX_METADATA_CHARS)
    return metadata


def _part_of_key(field: str, value: str) -> str:
    """Return the value if it can name an interview.

    Broken UTF-8 in a URL becomes U+FFFD; different applicants could become the same.
    """
    if "\ufffd" in value:
        raise BadField(f"{field} must be valid UTF-8, without the replacement character U+FFFD.")
    return value
