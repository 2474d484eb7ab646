"""The words of documents, in the languages of the customers."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

from domus.core.languages import DEFAULT_LANGUAGE


@cache
def words(language: str) -> dict[str, str]:
    """Return the words of a language by their keys; those of the default one where it has none."""
    text = resources.files("domus.documents").joinpath("words.yaml").read_text(encoding="utf-8")
    all_words: dict[str, dict[str, str]] = yaml.safe_load(text)
    return all_words.get(language, all_words[DEFAULT_LANGUAGE])
