"""An executed notebook as one page that needs no network, no server and no script to be read."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

_PLOTLY, _SVG = "application/vnd.plotly.v1+json", "image/svg+xml"


def page(notebook: str, *, title: str) -> str:
    """The page of an executed notebook (its JSON text).

    Figures are static pictures; where scripts may run, plotly (in the page once) makes them live. The page's policy
    allows these two scripts by their digests and nothing else: whatever hostile telemetry says, it stays text, and
    nothing is fetched.
    """
    cells = json.loads(notebook)["cells"]
    body = "\n".join(_cell(cell) for cell in cells)
    scripts = (_library(), _own("page.js")) if 'class="plot"' in body else ()
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts) or "'none'"
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {allowed}; base-uri 'none'"
    )
    tags = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}; form-action \'none\'">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_own('page.css')}</style>\n</head>\n"
        f"<body>\n<main>\n{_with_contents(body)}\n</main>\n{tags}</body>\n</html>\n"
    )


def _own(name: str) -> str:
    return resources.files("shadowlab.report").joinpath(name).read_text()


def _library() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _with_contents(body: str) -> str:
    """The body with links to its second headings behind its title, or before everything where it has none."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)<', body)
    items = "".join(f'<li><a href="#{anchor}">{words}</a></li>' for anchor, words in found)
    links = f"<nav><ol>{items}</ol></nav>" if items else ""
    title, end, rest = body.partition("</h1>")
    return f"{title}{end}{links}{rest}" if end else f"{links}\n{body}"


def _cell(cell: Mapping[str, Any]) -> str:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        return f'<section class="words">{_markdown(source)}</section>'
    if cell["cell_type"] != "code" or not source.strip():
        return ""
    shown = "".join(_outputs(cell.get("outputs", [])))
    kind = "cell" if shown else "cell silent"
    return f'<section class="{kind}"><details><summary>code</summary>{_python(source)}</details>{shown}</section>'


def _markdown(source: str) -> str:
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return re.sub(r'<a class="anchor-link".*?</a>', "", str(markdown2html_mistune(source)))


def _python(source: str) -> str:
    from nbconvert.filters.highlight import Highlight2HTML

    highlighted = Highlight2HTML(pygments_lexer="python")  # type: ignore[no-untyped-call]  # nbconvert says no types
    return str(highlighted(source))


def _outputs(outputs: list[Mapping[str, Any]]) -> Iterator[str]:
    for output in outputs:
        if output["output_type"] == "stream":
            yield f"<pre>{html.escape(_plain(_text(output['text'])))}</pre>"
        elif output["output_type"] in ("display_data", "execute_result"):
            yield _shown(output["data"])


def _shown(content: Mapping[str, Any]) -> str:
    """One output, as the best that a page can show of it."""
    if _SVG in content:
        live = json.dumps(content[_PLOTLY]).replace("<", "\\u003c") if _PLOTLY in content else ""
        figure = f'<script type="application/json">{live}</script>' if live else ""
        name = ' class="plot"' if live else ""
        return f'<figure{name}><div class="still">{_text(content[_SVG])}</div>{figure}</figure>'
    if "text/html" in content:
        shown = _text(content["text/html"])
        return f'<div class="table">{shown}</div>' if shown.strip() else ""
    if "text/markdown" in content:
        return _markdown(_text(content["text/markdown"]))
    if "image/png" in content:
        return f'<figure><img alt="" src="data:image/png;base64,{html.escape(_text(content["image/png"]))}"></figure>'
    return f"<pre>{html.escape(_plain(_text(content.get('text/plain', ''))))}</pre>"


def _plain(text: str) -> str:
    """Text without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
