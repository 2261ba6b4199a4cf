"""How a call to the model fails."""

from errors import Failed


class LLMError(Failed):
    """The model gave no whole answer.

    `kind` says why in one word of a fixed set, `detail` for the log; neither holds a key or any
    of the conversation.
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
