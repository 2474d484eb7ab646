"""What stands on an invoice about its tax, in the languages of the customers."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml

from domus.core.languages import DEFAULT_LANGUAGE
from domus.tax.rules import Rule


def reason(rule: Rule, language: str) -> str:
    """Return the sentence for a rule; nothing where the rate alone says it all, and for a company's own words."""
    texts = _texts().get(rule.value)
    return "" if texts is None else texts.get(language, texts[DEFAULT_LANGUAGE])


@cache
def _texts() -> dict[str, dict[str, str]]:
    text = resources.files("domus.tax").joinpath("reasons.yaml").read_text(encoding="utf-8")
    texts: dict[str, dict[str, str]] = yaml.safe_load(text)
    return texts
