"""Which words an event has: the operator's where there are some, else those that Domus comes with."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.orm import Session

from domus.core.languages import DEFAULT_LANGUAGE, LANGUAGES
from domus.mail.models import MailTemplate
from domus.mail.rendering import Words


def words_for(session: Session, event: str, language: str) -> Words:
    """Return the words of an event in a language."""
    own = session.scalar(
        sa.select(MailTemplate).where(MailTemplate.event == event, MailTemplate.language == language)
    )
    if own is not None:
        return Words(subject=own.subject, text=own.text, html=own.html)
    return built_in(event, language)


def built_in(event: str, language: str) -> Words:
    """Return the words that Domus comes with."""
    entry = _texts(language)["events"][event]
    return Words(subject=entry["subject"], text=entry["text"])


def phrases(language: str) -> tuple[str, str]:
    """Return how a mail begins and ends, with ``{name}``, ``{company}`` and ``{support}`` to be filled in."""
    texts = _texts(language)
    return texts["greeting"], texts["signature"]


@cache
def _texts(language: str) -> dict[str, Any]:
    known = language if language in LANGUAGES else DEFAULT_LANGUAGE
    text = resources.files("domus.mail").joinpath(f"texts/{known}.yaml").read_text(encoding="utf-8")
    texts: dict[str, Any] = yaml.safe_load(text)
    return texts
