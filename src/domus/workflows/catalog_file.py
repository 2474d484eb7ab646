"""Reads the entries of a catalogue file into the dataclasses that the editors take; says where a wrong one stands."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, get_type_hints

import yaml

from domus.core.errors import InvalidInput

Fields = TypeVar("Fields")


def parse(text: str) -> dict[str, Any]:
    """Return the file's sections; YAML tags that would make objects are refused."""
    try:
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise InvalidInput("The file is nested too deeply to be a catalogue.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an unquoted 0000-01-00 is taken for a date
        raise InvalidInput(
            f"The file is not YAML, or a period stands in it without quotes: {error}"
        ) from error
    return mapping(document, "the file")


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a copy of the value, which must be a map with names as keys."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidInput(f"{where}: a map of names is needed, not {value!r}.")
    return dict(value)


def entries(value: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each map of a list, with the words for where it stands; a missing list is empty."""
    if value is not None and not isinstance(value, list):
        raise InvalidInput(f"{where}: a list is needed, not {value!r}.")
    for number, entry in enumerate(value or (), start=1):
        place = f"{where}, entry {number}"
        yield mapping(entry, place), place


def read(kind: type[Fields], entry: dict[str, Any], *, base: Fields | None = None) -> Fields:
    """Return the dataclass *kind* made from an entry; an enum is written as its value.

    With a ``base`` what the entry does not say is as it is there.
    """
    hints = get_type_hints(kind)
    columns = {column.name: column for column in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(entry) - set(columns))
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is not known; known are {', '.join(columns)}.")
    missing = [
        name
        for name, column in columns.items()
        if column.default is dataclasses.MISSING
        and column.default_factory is dataclasses.MISSING
        and name not in entry
        and base is None
    ]
    if missing:
        raise InvalidInput(f"{missing[0]!r} is missing.")
    values = {name: _value(hints[name], value, repr(name)) for name, value in entry.items()}
    return kind(**values) if base is None else dataclasses.replace(base, **values)  # type: ignore[type-var]


def fields_of(kind: type[Fields], row: Any) -> Fields:
    """Return the dataclass *kind* as a row has it."""
    return kind(**{column.name: getattr(row, column.name) for column in dataclasses.fields(kind)})  # type: ignore[arg-type]


def entry_of(kind: type[Any], row: Any, *without: str) -> dict[str, Any]:
    """Return a row as an entry that `read` makes the same fields of."""
    columns = (column.name for column in dataclasses.fields(kind) if column.name not in without)
    return {name: _plain(getattr(row, name)) for name in columns}


def write(document: dict[str, Any]) -> str:
    """Return a document as the text of a file; the same document gives the same text."""
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Put the place before the sentence of whatever is refused inside."""
    try:
        yield
    except InvalidInput as error:
        field = f"{error.field!r}: " if error.field else ""
        raise InvalidInput(f"{where}: {field}{error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, enum.StrEnum):
        return value.value
    return list(value) if isinstance(value, list | tuple) else value


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _value(hint: Any, value: Any, what: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        try:
            return hint(value)
        except ValueError:
            allowed = ", ".join(member.value for member in hint)
            raise InvalidInput(f"{what} is {value!r}; allowed are {allowed}.") from None
    plain = {str: "a text", int: "a whole number", bool: "true or false", list[str]: "a list of texts"}
    if hint in plain and not _is(hint, value):
        raise InvalidInput(f"{what} is {value!r}; {plain[hint]} is needed (quotes make a text).")
    return value


def _is(hint: Any, value: Any) -> bool:
    if hint == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
