"""The report as one HTML file: no network, every string from a scenario escaped by the template."""

from __future__ import annotations

from urllib.parse import quote

from sim.report.view import View


def page(view: View) -> str:
    """The whole page. Autoescape is on; only charts, drawn by us as escaped SVG, go in as they are."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # A third shorter than base64 for tables, which are plain letters and digits.
    environment.filters["quoted"] = lambda text: quote(text, safe=",;:/@!$()*+=?")
    return environment.get_template("report.html.j2").render(view=view)
