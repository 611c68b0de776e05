"""Names as runtimes print them: of functions, without what compilers put into them, and of exceptions' types."""

from __future__ import annotations

import re
from functools import lru_cache

_HEAD = re.compile(
    r'\s*(?:Uncaught |Unhandled exception\. |Exception in thread "[^"]*" )?([\w.$\\:]+)'
    r"(?: \[[A-Z]\w+\]| \((?:0x[0-9A-Fa-f]{1,16}|-?\d{1,10})\))?(?::(?: (.*))?)?\Z",
    re.DOTALL,
)
"""Node prints a code behind the type, .NET an error's number."""


_CLEANERS = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        (r"\$\$Lambda(?:\$|/)?[\w/.$]*|\$\$(?:EnhancerBy|FastClassBy)\w+\$\$\w*", "$$gen"),
        (r"\$HibernateProxy\$\w*|\$\$SpringCGLIB\$\$\d*", "$$gen"),
        (r"(GeneratedMethodAccessor|GeneratedConstructorAccessor|\$Proxy|_jsp_)\d+", r"\1"),
        (r"lambda\$(\w+)\$\d+", r"lambda$\1"),
        (r"<(\w+)>\$", r"\1"),
        (r"<(<\w+>\w__[\w|]+)>d(?:__\d+)?(?:`\d+)?\.MoveNext", r"\1"),
        (r"<(\w+)>d__\d+(?:`\d+)?\.MoveNext", r"\1"),
        (r"<>c(?:__DisplayClass[\d_]+)?\.<(\w+)>b__[\d_]+", r"\1.lambda"),
        (r"<(\w+)>g__(\w+)\|[\d_]+", r"\1.\2"),
        (r"<>c(?:__DisplayClass[\d_]+)?\.(?=\w)", ""),
        (r"`\d+", ""),
        (r"::h(?:[0-9a-f]{16}|0)$", ""),
        (r"(?<=\w)\[[0-9a-f]{8,16}\](?=::)", ""),
        (r"(?:::)?\{(?:\{closure\}\}(?:#\d+)?|closure#\d+\})", ""),
        (r"\{closure(?::[^}]*)?\}", "{closure}"),
        (r"class@anonymous\S*?(?=->|::|$)", "class@anonymous"),
        (r"^(?:block(?: \(\d+ levels\))? in |rescue in |ensure in )+", ""),
        (r"\.(func|gowrap|deferwrap)\d+(?:\.\d+)*", r".\1"),
        (r"-range\d+", "-range"),
        (r"\(0x[0-9a-f, x.]*\)$|\(\.\.\.\)$|\[\.\.\.\]", ""),
        (r"^(?:Object|Function|Module|exports)\.(?=\w)", ""),
        (r"\$\d+\b", "$"),
    )
)  # fmt: skip


@lru_cache(maxsize=65_536)
def clean(function: str) -> str:
    """The name as a person wrote it, as far as it tells; `<anonymous>` for none."""
    for pattern, to in _CLEANERS:
        function = pattern.sub(to, function)
    return function.strip() or "<anonymous>"


@lru_cache(maxsize=8_192)
def head_of(text: str) -> tuple[str, str]:
    """Type and message of `Type: message`; no type where the text does not start with one."""
    found = _HEAD.match(text)
    if found and (found[2] is not None or re.fullmatch(r"[\w.$\\:]*[A-Z][\w.$\\:]*", found[1])):
        return found[1], (found[2] or "").strip()
    return "", text.strip()
