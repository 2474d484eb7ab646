"""Files that pages hand out."""

from __future__ import annotations

import io

from flask import Response, send_file

from domus.workflows.invoices import Look, Pdf
from domus_web.context import current_settings


def document_look() -> Look:
    """Return what documents take from the settings of the running application."""
    settings = current_settings()
    return Look(company_name=settings.company_name, extra_fonts=settings.pdf_fonts)


def send_pdf(pdf: Pdf) -> Response:
    """Return a PDF under its name; the browser saves it and runs nothing that may stand in it."""
    return send_file(
        io.BytesIO(pdf.content), mimetype="application/pdf", as_attachment=True, download_name=pdf.name
    )
