"""The languages of what applicants read from the service itself, and what positions call them."""

import re

# Each with its own name for itself.
LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "fil": "Filipino",
}

# What a position's plan may call its language, in lower case, beside the name that it has above.
NAMES_OF_LANGUAGES = {
    "english": "en",
    "german": "de",
    "deutsch": "de",
    "alemán": "de",
    "allemand": "de",
    "spanish": "es",
    "español": "es",
    "castellano": "es",
    "spanisch": "es",
    "espagnol": "es",
    "french": "fr",
    "français": "fr",
    "französisch": "fr",
    "francés": "fr",
    "filipino": "fil",
    "tagalog": "fil",
    "pilipino": "fil",
    "tl": "fil",
    **{language: language for language in LANGUAGES},
}


def language_of(name: str) -> str | None:
    """Return the code of the first of the languages that the name has a word for: `de` of `German`.

    The room decides by the same words (`changesLanguage` of `pages/static/room.js`).
    """
    words = re.findall(r"[^\W\d_]+", name.lower())
    return next((NAMES_OF_LANGUAGES[word] for word in words if word in NAMES_OF_LANGUAGES), None)
