"""The ways in which a call to the model fails."""

from errors import Failed


class LLMError(Failed):
    """The model gave no whole answer.

    `kind` is the reason, one word of a fixed set; `detail` is for the log. Neither holds a key or
    any of the conversation.
    """

    sentence = "Failed to get response from AI"

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__()
        self.kind = kind
        self.detail = detail


class PassingError(LLMError):
    """A failure that another try may mend, after at least `wait` seconds."""

    def __init__(self, kind: str, detail: str, wait: float | None = None) -> None:
        super().__init__(kind, detail)
        self.wait = wait


class NoSuchModel(LLMError):
    """The model does not exist, or no longer; `is_certain` if the provider says exactly that."""

    def __init__(self, detail: str, *, is_certain: bool) -> None:
        super().__init__("no_such_model", detail)
        self.is_certain = is_certain
