"""Why a request could not be read."""

from errors import Invalid, TimedOut


class BadJson(Invalid):
    """The request's body is not a JSON object."""


class IncompleteParams(Invalid):
    """A field that the request needs is missing, null or blank."""

    sentence = "incomplete params"


class BadField(Invalid):
    """A field's type, length or characters cannot be taken; the sentence names the field."""


class StalledBody(TimedOut):
    """The client stopped sending before its body was complete."""

    sentence = "The body did not come in time. Nothing was stored; please send it again."
