"""The rules by which parameters in messages become words for their kind.

They run in one fixed order and each looks at one message alone, so that no order of events and no amount of them
changes a template. Names that say *what* is wrong (a missing attribute, column, argument; a type) are no parameters and
stay; error codes (SQLSTATE, errno, exit, gRPC, HTTP class) are taken out first and kept beside the template.
"""

from __future__ import annotations

Rule = tuple[str | tuple[str, ...], str, str]
"""What a text must hold for the rule to be tried (of several one), pattern, replacement; RE2, so that no input makes
them slow. Where it need only hold the pattern, that is no pattern but the very text to be replaced."""

VERSION = 4
MAX_CHARACTERS = 2_000
"""Of a text, which are looked at."""
MAX_TEMPLATE = 400
_NAMED = (
    "attribute|argument|arguments|parameter|property|column|relation|table|field|key|module|method|function|name|"
    "constraint|index|type|class|symbol|variable|option|setting|header|reading|import|from|module named"
)
_TYPES = (
    "NoneType|int|float|str|bytes|bool|list|tuple|dict|set|Decimal|datetime|date|object|function|method|module|type|"
    "coroutine|generator|null|undefined|string|number|nil|NilClass|String|Integer|Hash|Array|Symbol"
)
_WORD = r"[A-Za-z_$][\w$.]{0,60}"

_LISTED = r"<(?:n|str|id|amount|time)>(?:\s?[,;]\s?<(?:n|str|id|amount|time)>)+"

# Kept words are wrapped in these while quoted text is masked; hostile input cannot hold them, they are taken out first.
_OPEN, _CLOSE = "\x01", "\x02"

# Looking for each of them is faster than for a class of them.
_CONTROLS = tuple(map(chr, (*range(9), *range(14, 32))))
CONTROLS: tuple[Rule, ...] = ((_CONTROLS, r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f]", ""),)
ZEROS: tuple[Rule, ...] = tuple((digit, digit, "0") for digit in "123456789")
"""No later rule looks at which digit it sees."""
LARGE: tuple[Rule, ...] = (
    ("{", r"\{\s*[\"'].*\}", "<json>"),
    ("[", r"\[\s*[{\"'].*\]", "<json>"),
    ("://", r"(?i)\b[a-z][a-z0-9+.\-]{1,20}://[^\s'\"<>)\]]+", "<url>"),
    ("arn:", r"\barn:[\w\-]*(?::[\w\-]*){3}:[^\s'\"`<>()\[\],;]*[\w*/]", "<id>"),
    ("urn:", r"(?i)\burn:[a-z0-9][a-z0-9\-]+:[^\s'\"`<>()\[\],;]*[\w*/]", "<id>"),
)
"""What may hold what the other rules look for."""

_SEGMENT = r"[\w.@%+~\-]+"
_EXTENSIONS = (
    "py[cdiwx]?|ipynb|[cm]?[jt]sx?|json[cl0]?|vue|svelte|java|class|jar|war|kts?|scala|groovy|gradle|go|mod|rs|rb|erb|"
    "php|phtml|cs|csproj|fs|vb|dll|exe|so|a|o|c|cc|cpp|h|hh|hpp|swift|dart|lua|pl|ex|exs|erl|clj|sh|bat|ps0|sql|"
    "html?|css|s[ac]ss|less|wasm|map|xml|xsd|ya?ml|toml|ini|cfg|conf|env|properties|lock|proto|tf|tmpl|tpl|j0|"
    "txt|md|rst|log|csv|tsv|parquet|avro|orc|db|sqlite0?|pkl|npy|h0|bin|dat|tmp|bak|part|pid|sock|pem|crt|cer|key|"
    "gz|tgz|zip|tar|zst|bz0|xz|0z|png|jpe?g|gif|svg|webp|ico|pdf|docx?|xlsx?|pptx?|mp[034]|wav|mov|woff0?|ttf"
)
"""Of files; each digit is a 0."""
# Behind a path: a template of a route (`/orders/{id}`, `/orders/:id`, `/orders/<id>`, `/orders/*`) is none.
_PATH_ENDS = r"(?:/?($|[^\w./@%+~\-{:<*]|:\s|:$)|(:))"
_PATH: Rule = (
    "/", rf"(^|[\s(=:,\[])(?:~?(?:/{_SEGMENT}){{2,}}|(?:\.\.?|~)(?:/{_SEGMENT})+){_PATH_ENDS}", r"\1<path>\2\3"
)  # fmt: skip
_PATHS: tuple[Rule, ...] = (
    _PATH,
    _PATH,  # the sign between two may end the one and begin the other
    ("/", rf"(?i)(^|[\s(=:,\[])(?:{_SEGMENT}/)+{_SEGMENT}\.(?:{_EXTENSIONS})\b", r"\1<path>"),
    (("node_modules/", "-packages/"),
     rf"(^|[\s(=:,\[])(?:{_SEGMENT}/)*(?:node_modules|(?:site|dist)-packages)(?:/{_SEGMENT})+", r"\1<path>"),
)  # fmt: skip
RULES: tuple[Rule, ...] = (
    *_PATHS,
    ("@", r"[\w.+\-]+@[\w\-]+\.[\w.\-]*\w", "<email>"),
    ("-", r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
    ("0000-00-00", r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z| ?[+\-]\d\d:?\d\d)?", "<time>"),
    (":00:00", r"\b(?:(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? )?(?:\d{1,2} )?"
     r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,4}(?:,? \d{4})? )?\d\d?:\d\d:\d\d(?:[.,]\d+)?\b",
     "<time>"),
    ("0.0", r"\b(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d+)?\b", "<addr>"),
    ("::", r"(?i)\[?\b[0-9a-f]{0,3}0[0-9a-f]{0,3}:(?:[0-9a-f]{1,4}:){0,6}(?::[0-9a-f]{1,4}){1,6}\b\]?(?::\d+)?",
     "<addr>"),
    (":", r"(?i)\[?\b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})*\b\]?(?::\d+)?|\[?::[01]\b\]?(?::\d+)?", "<addr>"),
    (":00", r"\b(?:[A-Za-z][\w\-]*\.)*[A-Za-z][\w\-]*:\d{2,5}\b", "<addr>"),
    ("'", rf"(?i)\b({_NAMED})([ :=(\[]+)'({_WORD})'", rf"\1\2{_OPEN}\3{_CLOSE}"),
    ('"', rf'(?i)\b({_NAMED})([ :=(\[]+)"({_WORD})"', rf"\1\2{_OPEN}\3{_CLOSE}"),
    ("`", rf"(?i)\b({_NAMED})([ :=(\[]+)`({_WORD})[`']", rf"\1\2{_OPEN}\3{_CLOSE}"),
    ("'", rf"'({_WORD})'( object\b| and \x01| has no attribute| is not (?:defined|callable|iterable))",
     rf"{_OPEN}\1{_CLOSE}\2"),
    ("'", rf"'({_TYPES})'|^'({_WORD})'$", rf"{_OPEN}\1\2{_CLOSE}"),
    ("'", r"(^|[^\w])'[^'\n]*'", r"\1<str>"),
    ('"', r"\"[^\"\n]*\"", "<str>"),
    ("`", r"`[^`'\n]*[`']", "<str>"),
    ("“", r"“[^”\n]*”", "<str>"),
    ("‘", r"‘[^’\n]*’", "<str>"),
    ("«", r"«[^»\n]*»", "<str>"),
    (_OPEN, rf"[{_OPEN}{_CLOSE}]", "'"),
    (":\\", r"(?i)\b[a-z]:\\[^\s:*?\"<>|]+", "<path>"),
    ("", r"(?i)\b(?:0x[0-9a-f]+|[0-9a-f]{8,})\b", "<n>"),
    ("0,000", r"([$€£¥] ?)\d{1,3}(?:,\d{3})+(?:\.\d+)?|\b\d{1,3}(?:,\d{3})+\.\d+\b", r"\1<n>"),
    ("0", r"[\-+]?\b\d[\d,._]*(?:e[\-+]?\d+)?\s?(?:%|[kKMGT]i?B\b|(?:bytes?|ns|us|µs|ms|s|secs?|seconds?|min|minutes?"
     r"|hours?|h|days?)\b)", "<amount>"),
    ("0", r"\b(?:[A-Za-z0-9]+[_\-.:#/])*[A-Za-z0-9_]*\d[A-Za-z0-9_]*(?:[_\-.:#/][A-Za-z0-9_]+)*", "<n>"),
)  # fmt: skip
"""What is left; each digit is a 0."""
LATE: tuple[Rule, ...] = (
    ("<n>", r"[\-+]<n>", "<n>"),
    (">,", _LISTED, "<list>"),
    (">;", _LISTED, "<list>"),
    ("", r"\s{2,}|[\t\r\n]", " "),
)
"""What comes after, on the few different texts that are left where numbers are words."""


def _nested(opening: str, closing: str, depth: int) -> str:
    """The pattern of what two signs hold, where that may hold the same again, so many deep."""
    plain = rf"[^{opening}{closing}]*"
    held = rf"{opening}{plain}{closing}"
    for _ in range(depth - 1):
        held = rf"{opening}{plain}(?:{held}{plain})*{closing}"
    return held


_VERBS = "GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|CONNECT|TRACE"
# What braces and brackets hold is these while the next that hold them are looked for.
_BRACED, _LISTED_IN = "\x03", "\x04"
_VALUE = r"\"[^\"]*\"|'[^']*'|(?:\([^()]*\)|[^\s,;(){}\[\]])*"

LOG_LARGE: tuple[Rule, ...] = (
    *CONTROLS,
    ('"', rf'"({_VERBS}) [^"]*"', r"\1 <str>"),
    ("{", _nested(r"\{", r"\}", 4), _BRACED),
    ("[", _nested(r"\[", r"\]", 3), _LISTED_IN),
    ("{", r"\{[^{}]{200,}$", _BRACED),
    ("=", rf"(^|[\s,;({{\[])([\w.\-/]+)=({_VALUE})", r"\1\2=<v>"),
    (_BRACED, _BRACED, "{<v>}"),
    (_LISTED_IN, _LISTED_IN, "[<v>]"),
    (":", r"\b(?:about|blob|data|file|javascript|mailto|urn):[\w/][^\s'\"<>)\]]*", "<url>"),
    ("B", r"\b\d[\d,.]*\s?B\b", "<amount>"),
    *LARGE,
)
"""Log records besides: what stands after a key, and what braces and brackets hold, are values."""
LOG_LATE: tuple[Rule, ...] = (
    *LATE,
    ("(<amount>)", r"<amount> \(<amount>\)", "<amount>"),
    ("/", r"(^|[\s(=:,\[])/[\w.@%+~\-*]+(?:/[\w.@%+~\-*]+)*/?", r"\1<path>"),
    ("/", r"\b[\w\-]+(?:/[\w.\-]+)+\.[A-Za-z]\w{0,4}\b", "<path>"),
)

STAGES = ((*CONTROLS, *ZEROS), (*LARGE, *RULES), LATE)
LOG_STAGES = (LOG_LARGE, ZEROS, RULES, LOG_LATE)
"""Rules one after another; what a stage made alike, the next one sees once. The last one's texts are few."""

CODES = (
    r"(?i)\b(?:(?:sql ?state|errno|exit (?:code|status)|exited with(?: code| status)?|signal|os error|error code|ora|"
    r"winerror|rpc error: code|(?:(?:http|response) )?status(?: code)?[\s:=]|(?:http|response) (?:code )?|"
    r"responded with|http(?:/[12](?:\.[01])?)?|got a?)[\s:=\[(#\-]*)[0-9][0-9A-Z]{0,4}\b"
)
"""Codes that say what went wrong, not to whom."""
