"""Which errors are the same."""

from __future__ import annotations

import random
import traceback
from pathlib import Path

import pytest
from assets.stacks import STACKS
from story import SHOP, Story, number_of, opened, python_stack, triaged

import shadowlab as sl
from shadowlab import telemetry, triage
from shadowlab.errors import UsageError
from shadowlab.triage import mask
from shadowlab.triage.fingerprint import merge
from shadowlab.triage.words import one_each


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("user 'alice' not found", "user <str> not found"),
        ("order ord_8f3kd92 failed after 1200ms", "order <n> failed after <amount>"),
        ("connect ECONNREFUSED 10.0.0.1:5432", "connect ECONNREFUSED <addr>"),
        ("dial tcp [2001:db8::1]:443: refused", "dial tcp <addr>: refused"),
        ("no route to fe80::1ff:fe23:4567:890a", "no route to <addr>"),
        ("charge of $1,299.00 refused", "charge of $<n> refused"),
        ("charge of 1,299.50 refused", "charge of <n> refused"),
        ("No module named 'pricing'", "No module named 'pricing'"),
        ("mail to joe.x+1@example.com bounced", "mail to <email> bounced"),
        ("job 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 at 2026-11-18T12:00:00.123Z", "job <id> at <time>"),
        ("can't open '/var/lib/x/1.txt'", "can't open <str>"),
        ("no such file: /var/lib/x/1.txt", "no such file: <path>"),
        ('could not parse {"a": {"b": 1}}', "could not parse <json>"),
        ("GET https://shop.example/orders/7?x=1 failed", "GET <url> failed"),
        ("cannot read src/app/x.py", "cannot read <path>"),
        ("./tmp/a1b2/file and ~/notes gone", "<path> and <path> gone"),
        ("copy /a/b /c/d ../e failed", "copy <path> <path> <path> failed"),
        ("no node_modules/.pnpm/pad@1.3.0/node_modules/pad", "no <path>"),
        ("in /srv/app/x.py:7", "in <path>:<n>"),
        ("in /srv/app/x.py:42", "in <path>:<n>"),
        ("/var/lib/shop/: denied", "<path>: denied"),
        ("and/or read/write n/a TCP/IP text/html I/O", "and/or read/write n/a TCP/IP text/html I/O"),
        ("application/vnd.api+json of ghcr.io/acme/app", "application/vnd.api+json of ghcr.io/acme/app"),
        ("3/4 done at 12/31/2024", "<n> done at <n>"),
        ("no route GET /api/orders/{id}", "no route GET /api/orders/{id}"),
        ("no route /api/orders/:id, /api/<cart>", "no route /api/orders/:id, /api/<cart>"),
        ("arn:aws:iam::123456789012:user/Bob may not", "<id> may not"),
        ("may not read arn:aws:s3:::my_bucket/a-b.", "may not read <id>."),
        ("unknown urn:shop:order:alpha-beta, sorry", "unknown <id>, sorry"),
        ("bad values [1, 2, 3]", "bad values [<list>]"),
        ("object at 0x7f00aa", "object at <n>"),
        ("'NoneType' object has no attribute 'foo'", "'NoneType' object has no attribute 'foo'"),
        ("f() got an unexpected keyword argument 'surcharge'", "f() got an unexpected keyword argument 'surcharge'"),
        ("unsupported operand type(s) for +: 'int' and 'str'", "unsupported operand type(s) for +: 'int' and 'str'"),
        ("HTTP 503 from gateway", "HTTP <n> from gateway [5xx]"),
        ("HTTP 404 from gateway", "HTTP <n> from gateway [4xx]"),
        ("[Errno 111] Connection refused", "[Errno <n>] Connection refused [111]"),
        ("SQLSTATE[23000]: duplicate", "SQLSTATE[<n>]: duplicate [23000]"),
        ("SQL state [40001]; deadlock", "SQL state [<n>]; deadlock [40001]"),
        ("process exited with code 137", "process exited with code <n> [137]"),
        ("rpc error: code = 14 desc = gone", "rpc error: code = <n> desc = gone [14]"),
        ("http status: 429, slow down", "http status: <n>, slow down [4xx]"),
        ("error code 0xf", "error code <n>"),
        ("status: 503, \x01status: 503\x02 and exit code 2", "status: <n>, status: <n> and exit code <n> [2 5xx]"),
        ("\u2003 wide \u00a0", "wide"),
        ("upstream responded with 502", "upstream responded with <n> [5xx]"),
    ],
)
def test_parameters_are_masked_and_names_stay(text: str, template: str):
    assert mask.templates([text]) == [template]


def test_masking_does_not_depend_on_the_other_texts():
    texts = [f"user {n} of 'team {n}' at 10.0.0.{n}: code {n * 37}" for n in range(200)]
    alone = [mask.templates([text])[0] for text in texts[:5]]
    random.Random(3).shuffle(texts)
    assert set(mask.templates(texts)) == set(alone) == {"user <n> of <str> at <addr>: code <n>"}


def test_a_word_of_many_values_is_a_parameter_and_a_word_of_two_is_not():
    many = [f"customer {name} has no plan" for name in ("ann", "bob", "cyd", "dan", "eve", "fay")]
    told = merge([*many, "VM Started", "VM Paused"])
    assert {told[text] for text in many} == {"customer <*> has no plan"}
    assert told["VM Started"] != told["VM Paused"]
    assert merge(reversed(many)) == {text: told[text] for text in reversed(many)}


def fingerprints(story: Story, folder: Path) -> dict[tuple[str, str], str]:
    """The fingerprint of each error, by trace and span."""
    case = story.case(folder)
    with telemetry.store(case) as store:
        _, table = triage.triage(store, top=1)
    telemetry.set_fingerprints(case, table)
    with telemetry.store(case) as store:
        rows = store.sql("SELECT trace_id, span_id, fingerprint FROM errors").rows()
    return {(row["trace_id"], row["span_id"]): row["fingerprint"] for row in rows}


def test_every_error_of_the_case_gets_a_fingerprint_whatever_the_window(tmp_path: Path):
    story = Story()
    for n in range(20):
        story.fails(story.span(n * 600, error=True), "ValueError", f"no price for {n}")
    found = fingerprints(story, tmp_path)
    assert len(found) == 20
    assert len(set(found.values())) == 1
    assert None not in found.values()


def test_line_numbers_do_not_part_and_functions_do(tmp_path: Path):
    story = Story()
    for n, (function, line) in enumerate([("price", 12), ("price", 99), ("tax", 12)]):
        stack = python_stack(SHOP[0], ("/srv/shop/lib/price.py", function), error="ValueError: no", line=line)
        story.fails(story.span(n, error=True), "ValueError", "no", stack)
    found = fingerprints(story, tmp_path)
    assert sorted(list(found.values()).count(f) for f in set(found.values())) == [1, 2]


def test_the_addresses_of_a_full_backtrace_change_nothing(tmp_path: Path):
    story = Story()
    for n, address in enumerate(("", "0x55d0c8b6b1c5 - ", "0x7f1200aa31ff - ")):
        calls = ("rust_begin_unwind", "core::panicking::panic_fmt", "acme::ledger::charge", "acme::main")
        lines = "".join(
            f"{at:4}: {address}{call}\n             at ./src/{at}.rs:7:5\n" for at, call in enumerate(calls)
        )
        stack = f"thread 'main' panicked at src/2.rs:7:5:\nbalance is negative\nstack backtrace:\n{lines}"
        story.fails(story.span(n, error=True), "panic", "balance is negative", stack)
    assert len(set(fingerprints(story, tmp_path).values())) == 1


def test_a_wrapped_exception_counts_as_its_cause(tmp_path: Path):
    story = Story()
    plain = python_stack(*SHOP, error="KeyError: 'amount'")
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    wrapped = plain + link + python_stack(SHOP[0], error="shop.Failed: cannot price")
    story.fails(story.span(0, error=True), "KeyError", "'amount'", plain)
    story.fails(story.span(1, error=True), "shop.Failed", "cannot price", wrapped)
    other = wrapped.replace("KeyError: 'amount'", "ZeroDivisionError: division by zero")
    story.fails(story.span(2, error=True), "shop.Failed", "cannot price", other)
    found = list(fingerprints(story, tmp_path).values())
    assert len(set(found)) == 2


def test_a_group_of_exceptions_counts_as_what_it_holds_first(tmp_path: Path):
    def lacks(sku: int) -> None:
        raise KeyError(f"sku {sku}")

    def refuses(amount: int) -> None:
        raise ValueError(f"bad amount {amount}")

    story = Story()
    for n in range(30):
        runs = ([lacks], [lacks, refuses], [refuses] * (1 + n % 4))[n % 3]
        caught: list[Exception] = []
        for run in runs:
            with pytest.raises((KeyError, ValueError)) as raised:
                run(n)
            caught.append(raised.value)
        group = ExceptionGroup("several failed", caught)
        story.fails(story.span(n, error=True), "ExceptionGroup", str(group), "".join(traceback.format_exception(group)))
    found = list(fingerprints(story, tmp_path).values())
    assert sorted(found.count(f) for f in set(found)) == [10, 20]


def test_a_closure_of_php_is_one_whatever_its_line_and_arguments(tmp_path: Path):
    story = Story()
    for n in range(6):
        text = (
            f"LogicException: no in /srv/shop/src/Cart.php:{n}\nStack trace:\n"
            f"#0 [internal function]: App\\Cart->App\\{{closure:App\\Cart::all():{n}}}({n})\n"
            f"#1 /srv/shop/src/app.php({n}): App\\{{closure:/srv/shop/src/app.php:{n}}}('it (is) {n}')\n#2 {{main}}"
        )
        story.fails(story.span(n, error=True), "LogicException", "no", text)
    assert len(set(fingerprints(story, tmp_path).values())) == 1


def test_errors_without_a_stack_are_told_apart_by_operation_and_code(tmp_path: Path):
    story = Story()
    for n in range(12):
        told = story.span(n, error=True, name=("GET /a", "GET /b")[n % 2], rpc__grpc__status_code=(14, 4)[n // 2 % 2])
        told["status"]["message"] = f"attempt {n} failed"
    assert len(set(fingerprints(story, tmp_path).values())) == 4


def test_errors_without_a_stack_are_told_apart_by_route_and_not_by_what_is_asked_of_it(tmp_path: Path):
    names = ("POST /api/orders", "POST /api/carts", "GET /v1/orders/{id}", "GET /v1/carts/{id}")
    story = Story()
    for n in range(40):
        for name in (*names, f"GET /api/orders/{n}", f"GET /search?of=a{n}&by=/x"):
            story.span(n, error=True, name=name)
    assert len(set(fingerprints(story, tmp_path).values())) == len(names) + 2


def test_words_in_a_route_that_take_many_values_are_one(tmp_path: Path):
    story = Story()
    for n in range(60):
        story.span(n, error=True, name=f"GET /users/{'abcdefghijklmnopqrst'[n % 20] * 3}/cart")
        story.span(n, error=True, name=f"GET /{'abcdefghijk'[n % 11] * 3}")
    (folder := tmp_path / "one").mkdir()
    assert len(set(fingerprints(story, folder).values())) == 12
    suspects = triaged(story, tmp_path).suspects
    assert "operation GET /users/<*>/cart and message “failed”" in next(s.why for s in suspects if s.events == 60)


def test_functions_of_php_itself_count_as_where_they_are_called(tmp_path: Path):
    story = Story()
    for n in range(12):
        caller, line = ("price", "tax")[n % 2], 9 + n % 3
        native = (
            f"ValueError: bad {n} in /srv/shop/src/Cart.php:{line}\nStack trace:\n"
            f"#0 /srv/shop/src/Cart.php({line}): array_chunk(Array, {n})\n"
            f"#1 /srv/shop/src/Cart.php(20): App\\Cart->{caller}('{n}')\n#2 {{main}}"
        )
        told = (
            f"ValueError: bad {n}\n\tat array_chunk(Cart.php:{line})\n\tat App.Cart.{caller}(Cart.php:{line})\n"
            "\tat {main}(Cart.php:20)"
        )
        story.fails(story.span(n, error=True), "ValueError", f"bad {n}", native)
        story.fails(story.span(n, error=True), "ValueError", f"bad {n}", told)
    found = list(fingerprints(story, tmp_path).values())
    assert sorted(found.count(f) for f in set(found)) == [6, 6, 6, 6]


def test_an_error_of_go_counts_as_what_it_wraps(tmp_path: Path):
    story = Story()
    for n in range(12):
        root = ("connect ledger: refused", "row is locked")[n % 2]
        calls = f"shop/pay.take\n\t/srv/shop/pay/pay.go:{n + 10}\nruntime.goexit\n\t/usr/lib/go-1.19/src/x.s:9"
        what = ("charge order", "refund order")[n // 2 % 2]
        stack = f"{root}\n{calls}\n{what} {n}\nshop/pay.{what.split()[0]}\n\t/srv/shop/pay/pay.go:{n}"
        story.fails(story.span(n, error=True), "*errors.withStack", f"{what} {n}: {root}", stack)
    found = list(fingerprints(story, tmp_path).values())
    assert sorted(found.count(f) for f in set(found)) == [6, 6]


def test_an_error_without_words_is_said_to_have_no_message(tmp_path: Path):
    story = Story()
    story.span(1.0, error=True)["status"] = {"code": 2}
    (suspect,) = triaged(story, tmp_path).suspects
    assert "and no message, reached by 1 path" in suspect.why
    assert "(none)" not in suspect.why


def test_any_order_gives_the_same_groups_and_the_same_record(tmp_path: Path):
    def tell(order: list[int], folder: Path):
        story = Story()
        for n in range(60):
            trace = story.trace()
            server = story.span(n * 20, trace=trace, error=n % 3 == 0)
            if n % 3 == 0:
                story.fails(server, ("ValueError", "KeyError")[n % 2], f"bad thing {n}")
        for spans in story.told.values():
            spans[:] = [spans[i] for i in order]
        folder.mkdir()
        with opened(story, folder) as store:
            return triage.triage(store)[0]

    order = list(range(60))
    first = tell(order, tmp_path / "one")
    random.Random(7).shuffle(order)
    assert tell(order, tmp_path / "other").digest == first.digest


def test_more_of_the_same_makes_no_more_groups(tmp_path: Path):
    words = ["lorem", "ipsum", "dolor", "sit", "amet", "consetetur", "sadipscing", "elitr", "sed", "diam", "nonumy"]

    def groups(count: int, folder: Path) -> int:
        story, r = Story(), random.Random(count)
        for n in range(count):
            message = (
                f"user {r.choice(words)} not allowed", f"took {r.random():.3f}s for order-{r.getrandbits(40):x}",
                f"key {r.getrandbits(64):016x} at 10.{r.randrange(9)}.0.{r.randrange(255)}:{r.randrange(9999)} gone",
            )[n % 3]  # fmt: skip
            story.fails(story.span(n * 0.1, error=True), "ValueError", message)
        folder.mkdir()
        return len(set(fingerprints(story, folder).values()))

    assert groups(150, tmp_path / "few") == groups(750, tmp_path / "many") == 3


def test_eight_languages_make_eight_groups_on_any_line(tmp_path: Path):
    story = Story()
    for n, (text, _, (kind, message)) in enumerate(STACKS.values()):
        for line in (42, 43):
            story.fails(story.span(n * 2 + line, error=True), kind, message, text.replace("42", str(line)))
    found = fingerprints(story, tmp_path)
    assert len(set(found.values())) == 8


def test_a_passed_on_error_counts_for_its_root_only(tmp_path: Path):
    story = Story()
    for n in range(30):
        trace = story.trace()
        front = story.span(n * 10, service="front", trace=trace, name="GET /", error=True)
        call = story.span(n * 10, service="front", trace=trace, kind=3, parent=number_of(front), name="GET", error=True)
        shop = story.span(n * 10, trace=trace, parent=number_of(call), error=True)
        story.fails(shop, "KeyError", "'amount'")
        story.fails(front, "front.Upstream", "shop answered 500", python_stack(("/srv/front/app.py", "home")))
    with opened(story, tmp_path) as store:
        found, _ = triage.triage(store)
    assert [(s.service, s.exception_type, s.events) for s in found.suspects] == [("shop", "KeyError", 30)]
    assert "60 errors of other spans passed it on" in found.top.why
    assert found.services[0].service == "shop"


def test_the_same_fault_seen_from_two_services_is_one_suspect_that_names_them(tmp_path: Path):
    story = Story()
    for n in range(30):
        trace = story.trace()
        edge = story.span(n, service="edge", trace=trace, name="GET /", error=True)
        shop = story.span(n, trace=trace, parent=number_of(edge), error=True)
        stock = story.span(n, service="stock", trace=trace, parent=number_of(shop), name="GET /stock", error=True)
        story.fails(stock, "KeyError", "'sku'")
        story.fails(shop, "httpx.HTTPStatusError", "500 of stock")
    (only,) = triaged(story, tmp_path).suspects
    assert (only.service, only.events, only.seen_from) == ("stock", 30, ("edge", "shop"))


def test_a_call_that_fails_without_a_word_counts_as_what_its_service_says_of_it(tmp_path: Path):
    story = Story()
    for n in range(40):
        trace = story.trace()
        shop = story.span(n * 10, trace=trace, error=True, ms=50)
        silent = story.span(n * 10, trace=trace, kind=3, parent=number_of(shop), name="GET", error=True)
        silent["status"] = {"code": 2}
        if n % 4 == 3:  # whom it asks says more than it does itself
            stock = story.span(n * 10, service="stock", trace=trace, parent=number_of(silent), error=True)
            story.fails(stock, "KeyError", "'sku'")
            story.fails(shop, "ValueError", "answered 500")
        else:
            story.fails(shop, *(("TimeoutError", "timed out"), ("OSError", "refused"))[n % 2])
    found = triaged(story, tmp_path).suspects
    assert {(s.service, s.exception_type, s.events) for s in found} == {
        ("shop", "TimeoutError", 20), ("shop", "OSError", 10), ("stock", "KeyError", 10)}  # fmt: skip
    assert all(s.frames for s in found)


def test_near_identical_stacks_with_different_causes_stay_apart(tmp_path: Path):
    story = Story()
    for n in range(40):
        deepest = ("price", "price_of")[n % 2]
        calls = (
            ("/srv/shop/app.py", "create"),
            ("/srv/shop/lib/cart.py", "total"),
            ("/srv/shop/lib/price.py", deepest),
        )
        stack = python_stack(*calls, error="TypeError: unsupported operand")
        story.fails(story.span(n, error=True), "TypeError", "unsupported operand", stack)
    found = triaged(story, tmp_path).suspects
    assert sorted(s.events for s in found) == [20, 20]
    assert {s.why.split("function ")[1].split(" ")[0] for s in found} == {"price:price", "price:price_of"}


def test_a_fault_beside_something_handled_stays_a_fault_of_its_own(tmp_path: Path):
    story = Story()
    for n in range(60):
        trace = story.trace()
        bad = n % 2 == 0
        server = story.span(n * 10, trace=trace, error=bad, ms=50)
        if n % 10 == 0:  # a gateway timeout that is handled, now and then in a request that fails for another reason
            call = story.span(n * 10, trace=trace, kind=3, parent=number_of(server), name="POST gateway", error=True)
            story.fails(call, "httpx.ReadTimeout", "timed out", python_stack(("/srv/shop/gateway.py", "call")))
        if bad:
            story.fails(server, "TypeError", "not serializable")
    with opened(story, tmp_path) as store:
        found, _ = triage.triage(store)
    assert [(s.exception_type, s.events) for s in found.suspects] == [("TypeError", 30), ("httpx.ReadTimeout", 6)]
    assert found.suspects[1].budget_burned == 0
    assert "breaks no objective" in found.suspects[1].why


def test_a_person_may_merge_and_split_groups(tmp_path: Path):
    story = Story()
    for n in range(12):
        way = ("retry", "order")[n % 2]
        stack = python_stack(("/srv/shop/app.py", way), ("/srv/shop/lib/price.py", "price"), error="ValueError: no")
        story.fails(story.span(n, error=True), "ValueError", "no", stack)
        story.fails(story.span(n, error=True), "KeyError", "'x'")
    with opened(story, tmp_path) as store:
        one, other = triage.triage(store)[0].suspects
        group = triage.Corrections(merge=((other.fingerprint, one.fingerprint),))
        (merged,) = triage.triage(store, corrections=group)[0].suspects
        value = next(s for s in (one, other) if s.exception_type == "ValueError")
        parted = triage.triage(store, corrections=triage.Corrections(split=(value.fingerprint,)))[0].suspects
    assert (merged.fingerprint, merged.events) == (other.fingerprint, 24)
    assert "grouped by hand" in merged.why
    assert sorted(s.events for s in parted) == [6, 6, 12]


def test_corrections_stay_in_the_case(tmp_path: Path):
    story = Story()
    for n in range(4):
        story.fails(story.span(n, error=True), ("ValueError", "KeyError")[n % 2], "no")
    inv = sl.open(story.case(tmp_path).path)
    one, other = inv.triage().suspects
    inv.triage(merge=[(one.fingerprint, other.fingerprint)])
    assert [s.fingerprint for s in sl.open(inv.case.path).triage().suspects] == [one.fingerprint]
    with pytest.raises(UsageError, match="is no fingerprint"):
        inv.triage(split=["TypeError"])


def test_held_out_exceptions_of_eight_languages_are_grouped_by_their_cause(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import faults
    import grouping

    told = faults.events(201, faults.causes(201, 60), 1_500)
    groups, _ = grouping.fingerprints(told)
    precision, _, f1 = grouping.scores(groups, [event.truth for event in told])
    assert precision >= 0.97
    assert f1 >= 0.95


def test_five_times_the_events_make_no_more_groups_of_errors_or_of_records(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    import faults
    import grouping

    def groups(count: int) -> tuple[int, int]:
        told = faults.events(201, faults.causes(201, 60), count)
        records = set(mask.templates([event.message for event in told], logs=True))
        return len(set(grouping.fingerprints(told)[0])), len(set(one_each(records).values()))

    few, many = groups(1_000), groups(5_000)
    assert few[0] == many[0] == 60
    assert many[1] <= few[1]
