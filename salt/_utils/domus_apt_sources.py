"""Where packages come from: dom0's own sources for a release, as a guest may use them too."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from domus_run import Runner
from domus_spec import TemplateSpec

APT_DIR = Path("/etc/apt")
KEYRING = re.compile(r"/usr/share/keyrings/debian-archive-[a-z0-9.-]+")
COMPONENTS = ("main", "contrib", "non-free", "non-free-firmware")
ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)+)")
# How dom0 reaches its mirror; the rest of its apt configuration is no matter for a guest's packages.
PASSED_ON = ("Acquire::http::", "Acquire::https::", "Acquire::Check-Valid-Until", "Acquire::Retries")

Entry = tuple[str, str, tuple[str, ...], str]


def guest_sources(template: TemplateSpec, apt_dir: Path = APT_DIR) -> list[str]:
    """Return lines for the sources.list of a guest; none mean mmdebstrap's own default.

    Of dom0's sources only those count that carry this release of Debian: other archives that dom0
    may use, an operator's own for one, are no business of a guest.
    """
    suites = (template.release, f"{template.release}-updates", f"{template.release}-security")
    found = [entry for entry in _entries(apt_dir) if entry[1] in suites and _is_public(entry)]
    if template.mirror:
        own = [(template.mirror, suite, ("main",), "") for suite in suites[:2]]
        found = own + [entry for entry in found if entry[1] == suites[2]]
    elif not any(entry[1] == template.release for entry in found):
        return []
    return list(dict.fromkeys(_line(entry) for entry in found))


def acquire_settings(runner: Runner) -> str:
    """Return dom0's settings for reaching its mirror, such as a proxy, as apt configuration."""
    said = runner.run(["apt-config", "dump"], timeout_seconds=30).stdout
    lines = (line for line in said.splitlines() if line.startswith(PASSED_ON))
    return "".join(f"{line}\n" for line in lines if not line.endswith(' "";'))


def _line(entry: Entry) -> str:
    uri, suite, components, keyring = entry
    options = f"[signed-by={keyring}] " if keyring else ""
    return f"deb {options}{uri} {suite} {' '.join(components)}"


def _is_public(entry: Entry) -> bool:
    """Say whether a guest can use a source: no credentials, Debian's own keys and components."""
    uri, _, components, keyring = entry
    parts = urlsplit(uri)
    return (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and bool(components)
        and (not keyring or bool(KEYRING.fullmatch(keyring)))
    )


def _entries(apt_dir: Path) -> Iterator[Entry]:
    folder = apt_dir / "sources.list.d"
    for path in [apt_dir / "sources.list", *sorted(folder.glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            yield from _one_line_entries(path.read_text(encoding="utf-8", errors="replace"))
        elif path.suffix == ".sources" and path.is_file():
            yield from _stanza_entries(path.read_text(encoding="utf-8", errors="replace"))


def _one_line_entries(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        found = ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found:
            options = dict(o.split("=", 1) for o in (found[1] or "").split() if "=" in o)
            keyring = options.get("signed-by", "")
            yield found[2], found[3].rstrip("/"), _known(found[4].split()), keyring


def _stanza_entries(text: str) -> Iterator[Entry]:
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        components = _known(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite.rstrip("/"), components, fields.get("signed-by", "")


def _stanzas(text: str) -> Iterator[Mapping[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        yield fields


def _known(components: Iterable[str]) -> tuple[str, ...]:
    return tuple(c for c in components if c in COMPONENTS)
