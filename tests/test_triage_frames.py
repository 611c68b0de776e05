"""Stack texts to frames, in eight languages."""

import re
import time
import traceback
from collections.abc import Callable
from multiprocessing.pool import RemoteTraceback
from pathlib import Path

import pytest
from assets.newer_stacks import FULL, NEWER
from assets.stacks import STACKS

from shadowlab.triage import frames, stacks


def own(text: str, prefixes: tuple[str, ...] = ()) -> str:
    stack = stacks.parse(text)
    assert stack is not None
    root = stack.chain[-1]
    return [frames.place(f.file, f.function) for f in root.frames if frames.in_app(f.file, f.function, prefixes)][-1]


@pytest.mark.parametrize("language", STACKS)
def test_the_deepest_own_function_and_the_root_cause_are_found(language: str):
    text, place, root = STACKS[language]
    stack = stacks.parse(text)
    assert stack is not None
    assert stack.language == language
    assert (stack.chain[-1].type, stack.chain[-1].message) == root
    assert own(text) == place


@pytest.mark.parametrize("language", STACKS)
def test_line_numbers_and_folders_do_not_change_the_place(language: str):
    text, place, _ = STACKS[language]
    moved = re.sub(r"(?<=[:( ])\d+(?=[:)\n,]| \+)", lambda n: str(int(n[0]) + 7), text)
    assert own(moved.replace("/app/", "/srv/release-9/app/")) == place


def test_generated_names_lose_what_changes_from_run_to_run():
    one = STACKS["java"][0]
    other = one.replace("Lambda$123/0x0000000800c8b440", "Lambda$77/0x0000000800aaaaaa")
    assert [f.function for f in stacks.parse(one).frames] == [f.function for f in stacks.parse(other).frames]


def test_an_exception_while_another_was_handled_stands_alone():
    text = STACKS["python"][0].replace(
        "The above exception was the direct cause of the following exception",
        "During handling of the above exception, another exception occurred",
    )
    assert [raised.type for raised in stacks.parse(text).chain] == ["RuntimeError"]


def test_errors_of_go_that_wrap_each_other_have_a_frame_each():
    text = (
        "charge order 7:\n    shop/pay.(*Desk).Charge\n        /srv/shop/pay/desk.go:42\n"
        "  - dial ledger:\n    shop/pay.dial\n        /srv/shop/pay/dial.go:17\n  - connection refused"
    )
    stack = stacks.parse(text)
    assert stack.language == "go"
    assert [link.message for link in stack.chain] == ["charge order 7", "dial ledger", "connection refused"]
    assert [frame.line for link in stack.chain for frame in link.frames] == [42, 17]
    assert deepest(text) == "shop/pay.dial"


def test_where_a_variable_of_go_was_made_is_not_where_it_failed():
    made = "ledger is gone\nshop/pay.init\n\t/srv/shop/pay/pay.go:15\nruntime.goexit\n\t/usr/lib/go-1.19/src/x.s:9"
    assert stacks.parse(made) is None
    stack = stacks.parse(
        f"{made}\nshop/pay.Take\n\t/srv/shop/pay/pay.go:30\nruntime.goexit\n\t/usr/lib/go-1.19/src/x.s:9"
    )
    assert [link.message for link in stack.chain] == ["", "ledger is gone"]
    assert stack.frames[-1].function == "shop/pay.Take"


def test_where_images_keep_a_program_of_go_is_no_library():
    assert frames.in_app("/go/src/app/pay/pay.go", "shop/pay.Take")
    for file in (
        "/usr/local/go/src/strconv/atoi.go",
        "/usr/lib/go-1.19/src/strconv/atoi.go",
        "/Users/dev/sdk/go1.22.1/src/strconv/atoi.go",
        "github.com/lib/pq@v1.10.9/conn.go",
    ):
        assert not frames.in_app(file, "strconv.Atoi")


def test_production_frames_become_paths_of_the_source_tree():
    stack = stacks.parse(STACKS["python"][0])
    shown = frames.shown(stack.chain[-1].frames, ("/srv/shop/",))
    assert [(f.file, f.in_app) for f in shown] == [
        ("lib/serializer.py", True), ("/usr/lib/python3.11/json/__init__.py", False)]  # fmt: skip
    assert shown[0].text == "return json.dumps(value)"


def test_what_python_itself_prints_is_read(tmp_path: Path):
    try:
        raise KeyError("amount")
    except KeyError:
        stack = stacks.parse(traceback.format_exc())
    assert (stack.chain[0].type, stack.chain[0].message) == ("KeyError", "'amount'")
    assert stack.frames[-1].function == "test_what_python_itself_prints_is_read"


ODD = {
    "a file that does not parse": (
        'Traceback (most recent call last):\n  File "/srv/app/load.py", line 4, in load\n    exec(text)\n'
        '  File "<string>", line 1\n    a b\n      ^\nSyntaxError: invalid syntax\n',
        ("SyntaxError", "invalid syntax"), "load:load"),
    "a code behind the type, as Node prints it": (
        "TypeError [ERR_INVALID_ARG_TYPE]: no path\n    at read (/app/src/files.js:10:11)",
        ("TypeError", "no path"), "files:read"),
    "a type alone": (
        "AggregateError [ECONNREFUSED]: \n    at place (/app/src/orders.js:10:11)",
        ("AggregateError", ""), "orders:place"),
    "Firefox and Safari": (
        "price@https://cdn.example/assets/shop.3f2a1b9c.js:1:23456\norder/<@https://cdn.example/assets/shop.js:1:9",
        ("", ""), "shop:price"),
    "a bundle whose name a bundler made": (
        "TypeError: x is null\n    at render (https://shop.example/assets/index-BdQx12aZ.js:1:23456)",
        ("TypeError", "x is null"), "index:render"),
    "a folder in parentheses, as routers name them": (
        "Error: no cart\n    at Page (webpack-internal:///(rsc)/./app/cart/page.tsx:12:15)\n"
        "    at next (/app/node_modules/next/dist/(x)/server.js:1:2)",
        ("Error", "no cart"), "page:Page"),
    "an evaluated text": (
        "ReferenceError: x\n    at eval (eval at run (/app/rules.js:10:5), <anonymous>:1:1)\n"
        "    at run (/app/rules.js:10:5)",
        ("ReferenceError", "x"), "rules:run"),
    "an error's number behind its type, as .NET prints it": (
        "System.AggregateException: One failed. (Timeout expired.)\n"
        " ---> Microsoft.Data.SqlClient.SqlException (0x80131904): Timeout expired.\n"
        " ---> System.ComponentModel.Win32Exception (258): Unknown error 258\n"
        "   at Acme.Orders.Repository`1.<>c__DisplayClass3_0.<<FindAsync>g__Load|0>d.MoveNext() in /src/R.cs:line 52\n"
        "   --- End of inner exception stack trace ---\n   at Acme.Orders.Program.Main() in /src/P.cs:line 12\n",
        ("System.ComponentModel.Win32Exception", "Unknown error 258"), "Acme.Orders.Repository.FindAsync.Load"),
    "a report with causes above its backtrace": (
        "Error:\n   0: could not charge\n   1: connection refused (os error 111)\n\n  ━━━━━ BACKTRACE ━━━━━\n"
        "   7: shop::charge::run::h1a2b3c4d5e6f7a8b\n      at /build/src/charge.rs:12\n",
        ("", "Error:\n   0: could not charge\n   1: connection refused (os error 111)"), "shop::charge::run"),
    "crates where an image for builds keeps them": (
        "no config\n\nStack backtrace:\n   0: anyhow::error::from\n"
        "             at /usr/local/cargo/registry/src/index.crates.io-6f17d22b/anyhow-1.0.75/src/error.rs:565:25\n"
        "   1: shop::config::load\n             at ./src/config.rs:12:5\n",
        ("", "no config"), "shop::config::load"),
    "a client of another's below the own": (
        "java.net.SocketTimeoutException: Read timed out\n\tat okhttp3.internal.Codec.read(Codec.kt:178)\n"
        "\tat com.acme.http.Retry.call(Retry.java:14)\n",
        ("java.net.SocketTimeoutException", "Read timed out"), "com.acme.http.Retry.call"),
    "a driver of a database": (
        "java.sql.SQLException: ORA-00942: no table\n\tat oracle.jdbc.driver.T4C8Oall.doCall(T4C8Oall.java:450)\n"
        "\tat com.acme.Repo.load(Repo.java:12)\n",
        ("java.sql.SQLException", "ORA-00942: no table"), "com.acme.Repo.load"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_odd_texts_are_read_as_they_are_meant(what: str):
    text, root, place = ODD[what]
    stack = stacks.parse(text)
    assert stack is not None
    assert (stack.chain[-1].type, stack.chain[-1].message) == root
    assert own(text) == place


def told(text: str) -> list[tuple[str, str]]:
    stack = stacks.parse(text)
    assert stack is not None
    return [(raised.type, raised.message) for raised in stack.chain]


def deepest(text: str) -> str:
    """The deepest own function of the whole chain, the root's first."""
    stack = stacks.parse(text)
    assert stack is not None
    places = [
        [frames.place(f.file, f.function) for f in raised.frames if frames.in_app(f.file, f.function)]
        for raised in reversed(stack.chain)
    ]
    return next(found[-1] for found in places if found)


@pytest.mark.parametrize("what", NEWER)
def test_newer_runtimes_and_rarer_shapes_are_read(what: str):
    text, language, chain, place = NEWER[what]
    stack = stacks.parse(text)
    assert stack is not None
    assert stack.language == language
    assert told(text) == chain
    assert deepest(text) == place


def test_a_full_backtrace_shows_the_frames_of_a_short_one():
    stack = stacks.parse(FULL)
    assert stack is not None
    assert [f.function for f in stack.frames] == ["shop::main", "<shop::Cart as shop::Pay>::pay"]


def refused(amount: int) -> None:
    if amount < 0:
        raise ValueError(f"bad amount {amount}")
    raise KeyError("sku")


def wrapped(amount: int) -> None:
    try:
        refused(amount)
    except KeyError as exc:
        raise RuntimeError("no stock\nat all") from exc


def held(*runs: Callable[[], None]) -> ExceptionGroup[Exception]:
    caught = []
    for run in runs:
        try:
            run()
        except Exception as exc:
            caught.append(exc)
    return ExceptionGroup("several failed", caught)


def printed(exc: Exception, cause: Exception | None = None) -> str:
    try:
        raise exc from cause
    except Exception:
        return traceback.format_exc()


def test_what_a_group_holds_first_follows_it_with_its_causes():
    text = printed(held(lambda: wrapped(1), lambda: refused(-5)))
    group = ("ExceptionGroup", "several failed (2 sub-exceptions)")
    assert told(text) == [group, ("RuntimeError", "no stock\nat all"), ("KeyError", "'sku'")]
    assert deepest(text) == "test_triage_frames:refused"
    assert told(printed(held(lambda: refused(-5), lambda: wrapped(1))))[1:] == [("ValueError", "bad amount -5")]


def test_groups_in_groups_and_below_a_cause_are_read():
    def inner() -> None:
        raise held(lambda: wrapped(1), lambda: refused(-5))

    outer = held(inner, lambda: refused(-7))
    chain = [kind for kind, _ in told(printed(RuntimeError("cannot answer"), outer))]
    assert chain == ["RuntimeError", "ExceptionGroup", "ExceptionGroup", "RuntimeError", "KeyError"]
    assert told(printed(ExceptionGroup("never raised", [ValueError("one"), KeyError("two")])))[1:] == [
        ("ValueError", "one")]  # fmt: skip


def test_what_came_up_while_a_group_was_handled_stands_alone():
    def fails() -> None:
        try:
            raise held(lambda: refused(-5))
        except* ValueError:
            raise LookupError("while handled") from None

    def handles() -> None:
        try:
            raise held(lambda: refused(-5))
        except ExceptionGroup:
            raise LookupError("while handled")  # noqa: B904  # what came up while another was handled

    assert told(printed(held(fails)))[1:] == [("LookupError", "while handled")]
    assert told(printed(held(handles)))[1:] == [("LookupError", "while handled")]


def test_groups_below_more_levels_than_python_prints_end_there():
    exc: Exception = ValueError("deep")
    for n in range(14):
        exc = ExceptionGroup(f"level {n}", [exc])
    assert len(told(printed(exc))) <= 11
    rule = "".join(f"{'  ' * n}+-+---------------- 1 ----------------\n" for n in range(1, 200))
    assert len(told(f'  File "/srv/a.py", line 1, in a\n{rule}')) == 11


def test_the_traceback_of_another_process_is_a_cause_like_others():
    below = "".join(traceback.format_exception(held(lambda: refused(-5)).exceptions[0]))
    text = printed(ValueError("bad amount -5"), RemoteTraceback(f'\n"""\n{below}"""'))
    assert told(text) == [("ValueError", "bad amount -5")] * 2
    assert deepest(text) == "test_triage_frames:refused"


def test_a_text_without_frames_gives_none():
    assert stacks.parse("") is None
    assert stacks.parse("gateway timed out after 30 s") is None


@pytest.mark.parametrize(
    "text",
    ["\n" * 60_000, "  at a.php(1)\nat " + "a(" * 30_000, "X in " * 12_000 + "\n#0 a(1): b()",
     "x.go:1\n - " * 6_000, "a\n\tx.go:1\n" * 5_000, " x.go:1\n" + "\n  - a:\n    b\n        x.go:1" * 2_500,
     "    " * 15_000 + "\n x.go:1\n  - a",
     " at (" * 12_000, "a" * 60_000, "#0 " + "(" * 60_000, ' File "' * 8_000, "x in y:1 " * 7_000,
     "\tat a.b(" * 7_000 + "\n", "f@http://a" + ":1" * 25_000,
     "0: a\n" * 12_000, "x.go:1\n" * 9_000, "  at a:1:1 (b\n" * 4_000,
     "thread 'a' panicked at '" + "x', " * 14_000, "a:1:in 'b': (" * 4_000 + "\n" + "a:1:in 'b': x (y) " * 100,
     ' File "a", line 1, in a\n' + (" " * 30_000 + "+-+- 1 -\n") * 2, "#0 a(1): " + "{a}" * 20_000,
     "E\n at a:1:1\n" + "[errors]: [\n   x" * 4_000,
     " 1: from a:1:in 'b'\n" * 1_500 + "a:1:in 'b': x (y)\n" * 1_500,
     "X\n   at a.b()" + "\n ---> (Inner Exception #1) " * 2_000,
     "E\n    at /" + "(a)" * 20_000 + ":1:1x\n    at /x.js:1:1"],
)  # fmt: skip
def test_hostile_text_is_read_in_little_time(text: str):
    began = time.process_time()
    stacks.parse(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", ["a" + "-A" * 30_000 + ".js", "a" + ".min" * 16_000 + "!"])
def test_a_name_of_many_parts_is_placed_in_little_time(name: str):
    began = time.process_time()
    assert frames.place(name, "f").endswith(":f")
    assert time.process_time() - began < 2
