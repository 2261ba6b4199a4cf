"""Reasons why a request could not be read."""

from errors import Invalid, TimedOut


class BadRequest(Invalid):
    """The request makes no sense; too many of these are refused."""


class BadJson(BadRequest):
    """The request's body is not a JSON object."""


class IncompleteParams(BadRequest):
    """A field that the request needs is missing, null or blank."""

    sentence = "incomplete params"


class BadField(BadRequest):
    """A field's type, length or characters cannot be accepted; the sentence names the field."""


class StalledBody(TimedOut):
    """The client stopped sending before its body was complete."""

    sentence = "The body did not come in time. Nothing was stored; please send it again."
