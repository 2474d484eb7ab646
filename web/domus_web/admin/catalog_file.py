"""The catalogue as a file: downloaded, and brought in again after its difference was looked at."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue
from wtforms import FileField, HiddenField
from wtforms.validators import DataRequired

from domus.core.clock import utc_now
from domus.core.errors import DomusError, InvalidInput
from domus.workflows import catalog_export, catalog_import
from domus_web.context import current_actor, current_db
from domus_web.errors import status_of
from domus_web.forms import Form
from domus_web.operator.reading import stop_reading
from domus_web.operator.view import go, route, say


class FileForm(Form):
    """A file to look at."""

    file = FileField(
        "Catalogue file",
        [DataRequired("Choose a file.")],
        description=f"YAML in UTF-8, at most {catalog_import.MAX_BYTES:,} bytes, as the download gives it.",
    )

    def text(self) -> str:
        """Return what stands in the file; raise InvalidInput when that is no text."""
        content = self.file.data.read(catalog_import.MAX_BYTES + 1)
        try:
            return str(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InvalidInput("This is no text in UTF-8.", field="file") from error


class AgreeForm(Form):
    """A file that was looked at, and the catalogue that its difference was shown against."""

    text = HiddenField(validators=[DataRequired()])
    fingerprint = HiddenField(validators=[DataRequired()])


class CatalogFile:
    """Adds the pages of the file to a view."""

    @route("/file/", methods=("GET", "POST"))
    def file_view(self: Any) -> ResponseReturnValue:
        """Take a file, and show what it would change."""
        form = FileForm()
        if form.validate_on_submit():
            stop_reading()
            try:
                text = form.text()
                found = catalog_import.difference(
                    current_db(), text=text, actor=current_actor(), now=utc_now()
                )
            except DomusError as error:
                form.refuse(InvalidInput(str(error), field="file"))
            else:
                agree = AgreeForm(formdata=None, text=text, fingerprint=found.fingerprint)
                return str(self.render("operator/catalog_difference.html", found=found, form=agree))
        return self.render("operator/catalog_file.html", form=form), 422 if form.is_submitted() else 200

    @route("/file/apply/", methods=("POST",))
    def apply_view(self: Any) -> ResponseReturnValue:
        """Bring in the file whose difference was agreed to."""
        agree = AgreeForm()
        stop_reading()
        form, status = FileForm(formdata=None), 422
        if agree.validate_on_submit():
            try:
                found = catalog_import.bring_in(
                    current_db(), text=str(agree.text.data), fingerprint=str(agree.fingerprint.data),
                    actor=current_actor(), now=utc_now(),
                )  # fmt: skip
                say(f"The file was brought in: {len(found.changes)} changes.")
                return go(self.get_url(".index_view"))
            except DomusError as error:
                form.form_errors = [str(error)]
                status = status_of(error)
        else:
            form.form_errors = ["The form was not complete; choose the file again."]
        return self.render("operator/catalog_file.html", form=form), status

    @route("/file/download/")
    def download_view(self: Any) -> ResponseReturnValue:
        """Give the catalogue as a file."""
        stop_reading()
        text = catalog_export.export(current_db(), actor=current_actor())
        name = f"catalogue-{utc_now():%Y-%m-%d}.yaml"
        return Response(
            text,
            mimetype="application/yaml",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
