"""Give a `json.dumps` call a `default` for the one type that it did not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shadowlab.diagnose.syntax import Function, SourceFile, source_file
from shadowlab.propose.codemods.base import Example, Rewrite, Site, Timed
from shadowlab.propose.codemods.imports import add_import, local_name
from shadowlab.propose.codemods.json_default_examples import EXAMPLES
from shadowlab.propose.codemods.renderings import UNKNOWN, Rendering, Unknown

if TYPE_CHECKING:
    import libcst as cst

_MESSAGE = re.compile(r"Object of type (\w+) is not JSON serializable")
_CALLS = ("json.dumps", "json.dump")


class JsonDefault:
    """`json.dumps(x)` becomes `json.dumps(x, default=_json_default)`; other unknown types still raise TypeError."""

    name = "json-default"

    def variants(self, site: Site) -> tuple[str, ...]:
        """The ways in which the type can be written; empty for other failures and for types of the service's own."""
        found = _MESSAGE.search(site.failure.message) if site.failure.type == "TypeError" else None
        return tuple(UNKNOWN[found[1]].ways) if found and found[1] in UNKNOWN else ()

    def rewrite(self, text: str, site: Site, variant: str) -> Rewrite | str:
        """The file with the default in place, or why not."""
        found = _MESSAGE.search(site.failure.message)
        parsed = source_file(site.file, text)
        if parsed is None or found is None:
            return f"{site.file} cannot be read as Python"
        unknown = UNKNOWN[found[1]]
        function, call = _find(parsed, site)
        if function is None or call is None:
            return f"{site.function} in {site.file} does not call json.dumps itself; a library does it there"
        if any(arg.star == "**" or (arg.keyword and arg.keyword.value in ("default", "cls")) for arg in call.args):
            return f"json.dumps in {site.function} has a default, a cls or ** already; a second one would change it"
        return _Edit(parsed, site, function, call, unknown, variant).rewrite()

    @property
    def examples(self) -> tuple[Example, ...]:
        """Before and after."""
        return EXAMPLES


JSON_DEFAULT = JsonDefault()


class _Edit:
    """One rewrite in the making: every part of it is read off the file's own style."""

    def __init__(
        self, parsed: SourceFile, site: Site, function: Function, call: cst.Call, unknown: Unknown, variant: str
    ) -> None:
        self.parsed, self.site, self.function, self.call = parsed, site, function, call
        self.unknown, self.variant, self.way = unknown, variant, unknown.ways[variant]
        imports = dict(parsed.imports)
        self.type_name = unknown.name if unknown.module is None else local_name(imports, unknown.module, unknown.name)
        self.helper = _free_name(parsed.text, "_json_default")

    def rewrite(self) -> Rewrite | str:
        """The new file, its test and the words that go with it."""
        import libcst as cst

        wanted = self.unknown.name
        if self.type_name is None and re.search(
            rf"^{wanted}\b|\b(?:class|def|as) {wanted}\b", self.parsed.text, re.MULTILINE
        ):
            return f"{self.site.file} uses the name {wanted} for something else"
        module = self.parsed.module.deep_replace(self.call, self._call())
        assert isinstance(module, cst.Module)
        body = self._with_helper(list(module.body))
        if self.type_name is None and self.unknown.module:
            body = list(add_import(body, self.unknown.module, wanted, beside="json"))
        names, test = self._test()
        return Rewrite(
            text=module.with_changes(body=body).code, test=test, test_names=names,
            test_slug=f"{_slug(self.site.file)}_{wanted.lower()}",
            does=f"The diff gives json.dumps in {self.site.function} a default that writes {wanted} as {self.variant} "
            "and refuses other unknown types as before; what could be written until now is written as before",
            surface=f"{self.site.file}: what {self.site.function} writes for a {wanted}, where it raised until now",
            timed=_timed(self.unknown, self.way),
        )  # fmt: skip

    def _call(self) -> cst.Call:
        """The call with one more argument, in the call's own layout."""
        import libcst as cst

        args, last = list(self.call.args), self.call.args[-1]
        value = cst.Arg(
            value=cst.Name(self.helper), keyword=cst.Name("default"),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        )  # fmt: skip
        if isinstance(last.comma, cst.Comma):
            between = args[-2].comma if len(args) > 1 else cst.Comma(whitespace_after=self.call.whitespace_before_args)
            args[-1], value = last.with_changes(comma=between), value.with_changes(comma=last.comma)
        else:
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            args[-1] = last.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))
            value = value.with_changes(whitespace_after_arg=last.whitespace_after_arg)
        made = self.call.with_changes(args=[*args, value])
        return self._folded(made) if self._too_long() else made

    def _too_long(self) -> bool:
        _, last = self.parsed.lines(self.call)
        line = self.parsed.text.splitlines()[last - 1]
        multi = self.parsed.lines(self.call)[0] != last
        return not multi and len(line) + len(f", default={self.helper}") > self.site.line_length

    def _folded(self, call: cst.Call) -> cst.Call:
        """The arguments on a line of their own, else one a line with a trailing comma, as formatters do it."""
        import libcst as cst

        tab = self.parsed.module.default_indent
        line = self.parsed.text.splitlines()[self.parsed.lines(self.call)[0] - 1]
        indent = line[: len(line) - len(line.lstrip())] + tab
        plain = (arg.with_changes(comma=cst.MaybeSentinel.DEFAULT) for arg in call.args)
        joined = ", ".join(self.parsed.module.code_for_node(arg) for arg in plain)
        one_line = len(indent) + len(joined) <= self.site.line_length

        def fold(*, deeper: bool) -> cst.ParenthesizedWhitespace:
            return cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(tab if deeper else ""))

        last = len(call.args) - 1
        args = list(call.args)
        if one_line:
            args[last] = args[last].with_changes(whitespace_after_arg=fold(deeper=False))
        else:
            args = [a.with_changes(comma=cst.Comma(whitespace_after=fold(deeper=n < last))) for n, a in enumerate(args)]
        return call.with_changes(whitespace_before_args=fold(deeper=True), args=args)

    def _with_helper(self, body: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
        """The helper stands right before the top-level statement that holds the call."""
        import libcst as cst

        config = self.parsed.module.config_for_parsing
        helper = cst.parse_statement(self._helper(), config=config)
        at = next(n for n, s in enumerate(self.parsed.module.body) if _holds(s, self.call))
        lead = [cst.EmptyLine(indent=False)] * 2 if at else []
        return [*body[:at], helper.with_changes(leading_lines=lead), *body[at:]]

    def _helper(self) -> str:
        tab, quote = self.parsed.module.default_indent, _quote(self.parsed.text)
        typed = self.function.node.returns is not None or any(p.annotation for p in self.function.node.params.params)
        head = f"def {self.helper}(value: object) -> {self.way.returns}:" if typed else f"def {self.helper}(value):"
        docstring = [f'{tab}"""Write what json does not know."""'] if _documented(self.parsed) else []
        lines = [
            head,
            *docstring,
            f"{tab}if isinstance(value, {self.type_name or self.unknown.name}):",
            f"{tab}{tab}return {self.way.expression.format(v='value')}",
            f"{tab}raise TypeError(f{quote}Object of type {{type(value).__name__}} is not JSON serializable{quote})",
        ]
        return "\n".join(lines) + "\n"

    def _test(self) -> tuple[tuple[str, ...], str]:
        """A test through the function where it can simply be called, else through the helper."""
        slug, kind = self.function.name.strip("_"), self.unknown.name.lower()
        through = _plain(self.function, self.call)
        sample = self.way.sample.format(t=self.unknown.name)
        written = f'{self.function.name}({{"value": {sample}}})'
        if not through:
            written = f'json.dumps({{"value": {sample}}}, default={self.helper})'
        name = f"test_{slug}_writes_{kind}_as_{self.variant}"
        imported = self.function.name if through else self.helper
        typing = f"from {self.unknown.module} import {self.unknown.name}\n" if self.unknown.module else ""
        text = (
            f"import json\n{typing}\nfrom {self.site.module} import {imported}\n\n\n"
            f"def {name}() -> None:\n"
            f"    written = {written}\n"
            f'    assert json.loads(written) == {{"value": {self.way.shown}}}\n'
        )
        return (name,), text


def _find(parsed: SourceFile, site: Site) -> tuple[Function | None, cst.Call | None]:
    """The function of the site, and its `json.dumps` on the failing line, else its only one."""
    import libcst as cst

    inside = [f for f in parsed.functions if f.start_line <= site.line <= f.end_line]
    function = max(inside, key=lambda f: f.start_line, default=None)
    if function is None:
        return None, None
    calls = [node for node in _walk(function.node) if isinstance(node, cst.Call) and _is_dumps(parsed, node)]
    on_line = [c for c in calls if parsed.lines(c)[0] <= site.line <= parsed.lines(c)[1]]
    chosen = on_line or calls
    return function, chosen[0] if len(chosen) == 1 and chosen[0].args else None


def _is_dumps(parsed: SourceFile, call: cst.Call) -> bool:
    from libcst.helpers import get_full_name_for_node

    name = get_full_name_for_node(call.func) or ""
    head, dot, rest = name.partition(".")
    return f"{parsed.imports.get(head, '')}{dot}{rest}" in _CALLS


def _plain(function: Function, call: cst.Call) -> bool:
    """Whether `function(value)` hands its one argument to the call unchanged and returns what the call gives."""
    import libcst as cst
    import libcst.matchers as m

    params = function.node.params
    rest = (*params.params[1:], *params.kwonly_params)
    if len(params.params) < 1 or any(p.default is None for p in rest) or params.posonly_params:
        return False
    first, given = params.params[0].name.value, call.args[0].value
    if "." in function.qualname or function.node.asynchronous or not m.matches(given, m.Name(first)):
        return False
    returned = [node.value for node in _walk(function.node) if isinstance(node, cst.Return)]
    encoded = m.Call(func=m.Attribute(value=m.MatchIfTrue(lambda n: n is call), attr=m.Name("encode")))
    return len(returned) == 1 and (returned[0] is call or m.matches(returned[0] or cst.Name("x"), encoded))


def _holds(statement: cst.CSTNode, call: cst.Call) -> bool:
    return any(node is call for node in _walk(statement))


def _walk(node: cst.CSTNode) -> list[cst.CSTNode]:
    found = [node]
    for child in node.children:
        found += _walk(child)
    return found


def _free_name(text: str, wanted: str) -> str:
    """`wanted`, with a number when the file uses the name already."""
    taken = set(re.findall(r"\w+", text))
    return next(name for n in range(1, 1000) if (name := wanted if n == 1 else f"{wanted}_{n}") not in taken)


def _quote(text: str) -> str:
    return "'" if text.count("'") > text.count('"') else '"'


def _documented(parsed: SourceFile) -> bool:
    """Whether most functions of the file have a docstring."""
    documented = [f for f in parsed.functions if f.node.get_docstring() is not None]
    return bool(documented) and 2 * len(documented) > len(parsed.functions)


def _slug(file: str) -> str:
    return re.sub(r"\W+", "_", file.rpartition("/")[2].removesuffix(".py")).strip("_")


def _timed(unknown: Unknown, way: Rendering) -> Timed:
    imported = f"from {unknown.module} import {unknown.name}\n" if unknown.module else ""
    sample = way.sample.format(t=unknown.name)
    shown = way.shown
    setup = (
        f"import json\n{imported}"
        f"def default(value):\n"
        f"    if isinstance(value, {unknown.name}):\n"
        f"        return {way.expression.format(v='value')}\n"
        f"known = {{'rows': [{{'name': 'n', 'value': {shown}}} for _ in range(100)]}}\n"
        f"new = {{'rows': [{{'name': 'n', 'value': {sample}}} for _ in range(100)]}}\n"
    )
    return Timed(setup, "json.dumps(known)", "json.dumps(new, default=default)", 100)
