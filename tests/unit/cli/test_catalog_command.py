"""``domus catalog``."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from domus.catalog.models import Product
from domus.cli.main import cli
from domus.db.engine import Database
from tests.support import builders


@pytest.fixture
def at_shell(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Let commands find the database."""
    monkeypatch.setenv("DOMUS_DATABASE_URL", db.engine.url.render_as_string(hide_password=False))
    return db


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["catalog", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_is_written_looked_at_and_brought_in(at_shell: Database, tmp_path: Path) -> None:
    builders.make_product_with_price(at_shell, name="Small", memory_mib=512)
    file = tmp_path / "catalogue.yaml"
    assert run("export", str(file)) == f"Wrote {file}.\n"
    assert run("export") == file.read_text()
    assert run("import", str(file)) == "Nothing is different.\n"
    file.write_text(file.read_text().replace("memory_mib: 512", "memory_mib: 256"))
    said = "Change product Small: memory_mib from 512 to 256.\n"
    assert run("import", str(file)) == said + "Nothing was changed yet; --apply does it.\n"
    assert memory(at_shell) == 512
    assert run("import", "--apply", str(file)) == said + "Done: 1 changes.\n"
    assert memory(at_shell) == 256


def memory(db: Database) -> int:
    with db.reading() as session:
        return session.scalars(sa.select(Product.memory_mib)).one()
