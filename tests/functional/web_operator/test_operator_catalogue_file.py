"""The catalogue as a file, in the operator's panel."""

from __future__ import annotations

import html
import io
import re

import sqlalchemy as sa
from werkzeug.test import TestResponse

from domus.catalog.models import Product
from domus.db.engine import Database
from tests.support.panel import Visitor, text_of
from tests.support.shop import Shop

FILE = "/operator/products/file/"


def upload(olga: Visitor, text: bytes, status: int = 200) -> TestResponse:
    return olga.post(
        FILE, {"file": (io.BytesIO(text), "c.yaml")}, status=status, content_type="multipart/form-data"
    )


def hidden(page: TestResponse) -> dict[str, str]:
    body = page.get_data(as_text=True)
    found = {}
    for name in ("text", "fingerprint"):
        match = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', body)
        assert match is not None, name
        found[name] = html.unescape(match[1])
    return found


def memory(db: Database) -> int:
    with db.reading() as session:
        return session.scalars(sa.select(Product.memory_mib)).one()


def test_a_file_is_downloaded_changed_looked_at_and_brought_in(
    db: Database, shop: Shop, olga: Visitor
) -> None:
    assert "As a file" in text_of(olga.get("/operator/products/"))
    download = olga.get(FILE + "download/")
    assert "attachment" in download.headers["Content-Disposition"]
    text = download.get_data()
    assert "Nothing: the file says what the catalogue says." in text_of(upload(olga, text))
    page = upload(olga, text.replace(b"memory_mib: 512", b"memory_mib: 1024"))
    assert "Change product VPS Small: memory_mib from 512 to 1024." in text_of(page)
    assert memory(db) == 512
    olga.post(FILE + "apply/", hidden(page))
    assert memory(db) == 1024
    answer = olga.post(FILE + "apply/", hidden(page), status=409)
    assert "nothing was changed now" in text_of(answer)


def test_a_bad_file_is_refused_with_the_place(db: Database, shop: Shop, olga: Visitor) -> None:
    assert "products, entry 1" in text_of(upload(olga, b"products: [<script>]", 422))
    assert "no text in UTF-8" in text_of(upload(olga, b"\xff\xfe\x00", 422))
    assert "Choose a file" in text_of(olga.post(FILE, {}, status=422))
    assert "choose the file again" in text_of(olga.post(FILE + "apply/", {}, status=422))


def test_customers_have_no_such_page(shop: Shop, alice: Visitor) -> None:
    for path in (FILE, FILE + "download/"):
        alice.get(path, status=404)
