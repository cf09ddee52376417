"""Templates and what every page carries."""

from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from typing import Final

import jinja2
from aiohttp import web

from letterbox.model.preferences import Language
from letterbox.web.statics import Statics
from letterbox.web.texts import Texts

#: Nothing from elsewhere, nothing inline, in nobody's frame.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # To nobody else. With no-referrer a browser would hide even from us where a form comes from
    # (Fetch, section 3.2: Origin is null then), by which we know that it is ours.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Rendering:
    """The templates of ``templates/``, once for each language."""

    def __init__(self, texts: Mapping[Language, Texts], statics: Statics) -> None:
        self._environments = {
            language: _environment(said, statics) for language, said in texts.items()
        }

    def page(
        self,
        template: str,
        language: Language,
        said: Mapping[str, object],
        *,
        status: int = HTTPStatus.OK,
    ) -> web.Response:
        """A template filled, as a response."""
        return web.Response(
            status=status,
            text=self.text(template, language, said),
            content_type="text/html",
            headers={**_HEADERS, "Content-Language": language},
        )

    def text(self, template: str, language: Language, said: Mapping[str, object]) -> str:
        """A template filled."""
        return self._environments[language].get_template(template).render(said)


def _environment(texts: Texts, statics: Statics) -> jinja2.Environment:
    folder = resources.files(__package__) / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        texts.catalogue, newstyle=True
    )
    environment.globals["language"] = texts.language
    environment.globals["static"] = statics.url
    return environment
