"""Words with data filled in. Operators write them, so they run in a sandbox that can do nothing but fill in.

No function can be called, no attribute beginning with an underscore read, and nothing multiplied into a text of gigabytes.
Of the addresses in a letter only our own ``url`` becomes a link: what customers write about themselves never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateAssertionError, TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from domus.core.errors import InvalidInput

MAX_LENGTH = 20_000
MAX_SUBJECT = 300

#: Of one part of a mail when it is filled in; many times what any mail has.
MAX_FILLED = 100_000
#: In one another.
MAX_LOOPS = 2

_FILTERS = (
    "capitalize", "d", "default", "e", "escape", "first", "join", "last", "length", "lower", "title", "trim", "upper",
)  # fmt: skip

#: What filling in can raise: the sandbox's refusals, names that are not there, and sums that cannot be made.
_FAULTS = (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError)

_PAGE = Markup(
    '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n'
    '<body style="font-family: sans-serif; line-height: 1.5; color: #1a1a1a; max-width: 40em">\n{}\n</body></html>\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A template: what is filled in. An empty ``html`` is made from the text."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A template filled in."""

    subject: str
    text: str
    html: str


@pass_context
def _linked_by_filter(context: Context, value: object, *_arguments: object, **_options: object) -> Markup:
    """Do what the filter of this name does, for our own address alone."""
    return _linked(str(value), str(context.get("url", "")))


class _Sandbox(ImmutableSandboxedEnvironment):
    """Fills in, and nothing else."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=autoescape, keep_trailing_newline=False)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTERS} | {"urlize": _linked_by_filter}

    def is_safe_callable(self, obj: Any) -> bool:
        """Refuse every call."""
        return False

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse what makes much out of little."""
        raise SecurityError(f"{operator} is not allowed in a mail")


_TEXT, _HTML = _Sandbox(autoescape=False), _Sandbox(autoescape=True)


def fill_in(words: Words, data: Mapping[str, Any]) -> Letter:
    """Return the letter; raise InvalidInput, with the field and in words, for a template that cannot be filled in."""
    text = _part(_TEXT, words.text, data, field="text").strip() + "\n"
    html = (
        _part(_HTML, words.html, data, field="html")
        if words.html.strip()
        else html_of(text, str(data.get("url", "")))
    )
    subject = " ".join(_part(_TEXT, words.subject, data, field="subject").split())
    return Letter(subject=subject[:MAX_SUBJECT], text=text, html=html)


def html_of(text: str, url: str = "") -> str:
    """Return a text as HTML: paragraphs where it has empty lines, and ``url``, and nothing else, to be clicked."""
    paragraphs = [paragraph for paragraph in text.strip().split("\n\n") if paragraph.strip()]
    linked = (_linked(p, url) for p in paragraphs)
    broken = (Markup("<p>{}</p>").format(p.replace("\n", Markup("<br>\n"))) for p in linked)
    return str(_PAGE.format(Markup("\n").join(broken)))


def _linked(text: str, url: str) -> Markup:
    """Return the text, escaped, with each place of the address made a link."""
    escaped = escape(text)
    if not url:
        return escaped
    link = Markup('<a href="{0}" rel="noopener">{0}</a>').format(url)
    return link.join(escaped.split(escape(url)))


def _part(sandbox: _Sandbox, source: str, data: Mapping[str, Any], *, field: str) -> str:
    try:
        tree = sandbox.parse(source)
        _check_loops(tree)
        return _within_limit(sandbox.from_string(tree).generate(dict(data)), field)
    except _FAULTS as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise InvalidInput(f"This cannot be filled in{where}: {error}", field=field) from error


def _within_limit(pieces: Iterable[str], field: str) -> str:
    """Return the pieces as one text; raise InvalidInput as soon as they are too long, before more of them are made."""
    filled: list[str] = []
    length = 0
    for piece in pieces:
        filled.append(piece)
        length += len(piece)
        if length > MAX_FILLED:
            raise InvalidInput(
                f"Filled in, this has more than the {MAX_FILLED} characters that are allowed.", field=field
            )
    return "".join(filled)


def _check_loops(node: nodes.Node, *, depth: int = 0, is_kept: bool = False) -> None:
    """Refuse loops that make much out of little: deep ones, and those whose words are kept as a whole before they go on."""
    for child in node.iter_child_nodes():
        deeper = depth
        if isinstance(child, nodes.For):
            deeper += 1
            if deeper > MAX_LOOPS:
                raise _fault(f"at most {MAX_LOOPS} loops may stand in one another", child)
            if is_kept or child.recursive:
                raise _fault("a loop may neither be recursive nor stand in a set or filter block", child)
        keeps = isinstance(child, nodes.AssignBlock | nodes.FilterBlock)
        _check_loops(child, depth=deeper, is_kept=is_kept or keeps)


def _fault(message: str, node: nodes.Node) -> TemplateAssertionError:
    fault = TemplateAssertionError(message, node.lineno)
    fault.translated = True  # so that it says the line once
    return fault
