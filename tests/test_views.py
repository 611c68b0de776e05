"""Pictures and tables: nothing hostile gets through, nothing is lost, the same bytes every time."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import AT, DIFF, TITLE, TRACE, diagnosis, gate_report, proposal, replay, trace, triage, unified

from shadowlab import views
from shadowlab.records import Diagnosis, Intervention, Plan, Proposal, Recording, Slice
from shadowlab.triage import charts, plots
from shadowlab.triage import html as triage_html
from shadowlab.views import axes, servicemap, spans, still, svg, waterfall
from shadowlab.views.tables import cell

EVIL = "<script>alert(1)</script>\x00\x1b[31m\"'&"


def words(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())


@pytest.mark.parametrize(
    ("runs", "after", "flipped", "words"),
    [
        (2, "0" * 64, True, "the failure went away"),
        (2, "c" * 64, False, "the failure stayed"),
        (2, "0" * 64, False, "it came out otherwise, and did not pass"),
        (0, "", False, "it did not run"),
    ],
)
def test_an_intervention_says_what_became_of_it(runs: int, after: str, flipped: bool, words: str):
    tried = Intervention(changed="one thing", before_key="c" * 64, after_key=after, flipped=flipped, runs=runs)
    guess = replace(diagnosis().hypotheses[0], interventions=(tried,))
    assert f">{words}<" in views.interventions(Diagnosis(hypotheses=(guess,))).html


def test_a_waterfall_shows_every_span_and_log_and_marks_errors():
    picture = waterfall.draw(*trace(), trace_id=TRACE)
    assert picture.alt == f"trace {TRACE}: 6 spans, 2 errors, 84 ms"
    told = words(picture.svg)
    assert "✗ POST /charges" in told
    assert "INSERT charges" in told
    assert "2 log records of this trace" in told


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "a"}, {"a": "nowhere"}])
def test_a_waterfall_survives_spans_that_are_each_others_parents(parents: dict[str, str]):
    spans = [
        {
            "span_id": i,
            "parent_span_id": parents.get(i),
            "service": "s",
            "name": f"span {i}",
            "start_ns": 0,
            "end_ns": 9,
        }
        for i in ("a", "b")
    ]
    told = words(waterfall.draw(spans).svg)
    assert "span a" in told
    assert "span b" in told


def test_a_long_trace_is_cut_to_the_way_to_its_errors_and_says_so():
    spans = [
        {"span_id": str(n), "parent_span_id": str(n - 1) if n else None, "service": "s", "name": f"call {n}",
         "start_ns": n, "end_ns": 400 - n, "status": "error" if n == 90 else "ok"}
        for n in range(200)
    ]  # fmt: skip
    told = words(waterfall.draw(spans).svg)
    assert "✗ call 90" in told
    assert "140 shorter spans are not shown" in told


def test_hostile_text_stays_text_in_pictures_and_tables():
    spans, _ = trace()
    spans[0] = {**spans[0], "name": EVIL, "service": EVIL}
    svg = waterfall.draw(spans, [{"at_ns": spans[0]["start_ns"], "severity": EVIL, "body": EVIL}]).svg
    assert "alert(1)" in words(svg)  # it parses, and is text
    evil = diff_of("x = 1\n", f"x = '{EVIL}'\n")
    for page in (views.suspects(triage(title=EVIL)), views.side_by_side(evil), views.in_full(evil)):
        assert "<script" not in page.html
        assert "alert(1)" in page.html


def diff_of(before: str, after: str) -> str:
    return unified(before, after, "x.py")


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["-- a", "++ b", "x", " y", ""])), st.lists(st.sampled_from(["++ b", "-- a", "x", "z"]))
)
def test_side_by_side_shows_every_line_of_any_diff(before: list[str], after: list[str]):
    diff = diff_of("".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after))
    html = views.side_by_side(diff).html
    changed = [line for line in diff.splitlines()[2:] if line[:1] in "+-" and line]
    assert html.count("background:rgba(201,79,0") == 2 * sum(line[0] == "-" for line in changed)
    assert html.count("background:rgba(0,114,178") == 2 * sum(line[0] == "+" for line in changed)


def test_side_by_side_names_new_files_and_numbers_lines():
    html = views.side_by_side(DIFF).html
    assert "lib/serializer.py" in html
    assert "tests/test_serializer_decimal.py" in html
    assert "/dev/null" not in html


def test_a_record_that_is_missing_is_said_to_be_missing():
    assert "shadowlab replay CASE" in views.attempts(None).html
    assert "not done yet" in views.glance(triage()).html
    assert "No candidate was proposed. no codemod fits" in views.patch(Proposal(notes=("no codemod fits",))).html


def test_the_glance_answers_the_seven_questions():
    html = views.glance(triage(), replay(), diagnosis(), proposal(), gate_report()).html
    for answer in ("29× over 5m", "52 events", "1.3.2 → 1.4.0", "20/20", "a Decimal reaches", "8 of 8 gates"):
        assert answer in html


def test_statistics_show_interval_samples_and_p():
    html = views.statistics(gate_report()).html
    for number in ("-0.0283", "-0.0213", "1,840", "3.2e-13", "Mann-Whitney"):
        assert number in html


def test_a_figure_has_a_static_twin_with_its_words_and_marks():
    figure = go.Figure()
    times = [AT + timedelta(minutes=n) for n in range(30)]
    figure.add_bar(x=times, y=list(range(30)), name="requests")
    figure.add_scatter(x=times, y=[2.0] * 30, name="limit", error_y={"array": [1.0] * 30})
    figure.add_vline(x=AT.timestamp() * 1000, line_dash="dash")
    figure.add_annotation(x=times[3], y=1, yref="paper", text="<b>deploy</b> 1.4.0", showarrow=False)
    figure.update_layout(title="Requests", yaxis_title="a minute", barmode="stack")
    svg = still.draw(figure)
    for told in ("Requests", "a minute", "deploy 1.4.0", "limit", "11:20"):
        assert told in words(svg)
    assert svg.count("<rect") >= 29
    assert svg == still.draw(figure)


@pytest.mark.parametrize("kind", ["linear", "log"])
def test_bars_lying_and_upright_fit_their_axes(kind: str):
    lying = go.Figure(go.Bar(y=["5m", "30m"], x=[28.0, 3.0], orientation="h", text=["28×", "3×"]))
    lying.update_layout(xaxis_type=kind)
    root = ET.fromstring(still.draw(lying))
    bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]
    assert len(bars) == 2
    assert float(bars[0].attrib["width"]) > float(bars[1].attrib["width"]) > 0


def test_a_trace_that_is_not_drawn_is_named():
    assert "heatmap: see the interactive figure" in words(still.draw(go.Figure(go.Heatmap(z=[[1, 2], [3, 4]]))))


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_ticks_lie_on_their_axis(low: float, span: float):
    axis = axes.Axis("linear", low, low + span, 0.0, 800.0)
    assert all(-1 <= at <= 801 for at, _ in axis.ticks(None, 90))


def test_a_comparison_sets_the_recording_beside_the_replay():
    fixture = {
        "id": "1" * 32,
        "response": {"status": 500},
        "error": {"type": "TypeError", "message": "Object of type Decimal is not JSON serializable",
                  "frames": [{"file": "/srv/payments-api/lib/serializer.py", "function": "to_json", "line": 7}]},
        "outbound": [{"method": "POST", "url": "http://gateway/pay?card=1", "status": 200}],
    }  # fmt: skip
    html = views.compare(fixture, replay()).html
    assert "≠" not in html
    assert "card=1" not in html
    spoken = {**fixture, "outbound": ["POST http://gateway/pay?card=1 -> 200"]}
    assert views.compare(spoken, replay()).html == html
    assert "was not replayed" in views.compare({"id": "9" * 32}, replay()).html


def test_a_bar_of_told_width_stands_on_its_slice_and_not_around_the_start():
    figure = go.Figure(go.Bar(x=["2026-01-01 11:02", "2026-01-01 11:03"], y=[1, 2], offset=0, width=60_000))
    figure.add_vline(x="2026-01-01 11:02:20")
    drawn = ET.fromstring(still.draw(figure))
    first = drawn.findall("{*}rect")[1]
    line = next(x for x in drawn.findall("{*}line") if x.get("x1") == x.get("x2") and x.get("stroke-width") == "2")
    left, wide = float(first.get("x", 0)), float(first.get("width", 0))
    assert left < float(line.get("x1", 0)) < left + wide / 2


def test_bars_that_colour_tells_apart_are_hatched_for_grey_print():
    figure = go.Figure([go.Bar(x=["a"], y=[3], name=n, marker_pattern_shape=s) for n, s in (("one", ""), ("two", "x"))])
    assert still.draw(figure).count("<path") == 2  # the second one's bar and its key


def test_a_legend_that_is_too_long_for_one_line_takes_two():
    figure = go.Figure([go.Scatter(x=[1], y=[n], name=f"a name of some forty letters, number {n}") for n in range(6)])
    texts = [x for x in ET.fromstring(still.draw(figure)).findall("{*}text") if (x.text or "").startswith("a name")]
    assert len({x.get("y") for x in texts}) > 1
    assert max(float(x.get("x", 0)) for x in texts) < 700


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(1, 200)), max_size=12))
def test_labels_in_one_row_never_overlap(spans: list[tuple[float, float]]):
    ends = [(low, low + wide) for low, wide in spans]
    found = svg.rows(ends)
    for n, (low, high) in enumerate(ends):
        for m in range(n):
            assert found[n] != found[m] or high < ends[m][0] or ends[m][1] < low


def test_the_blamed_way_goes_from_left_to_right_through_a_circle_of_calls():
    calls = [("checkout", "pay", 40, 3), ("api", "checkout", 50, 3), ("web", "api", 90, 3), ("pay", "web", 1, 0)]
    columns = servicemap.places(calls, ("web", "api", "checkout", "pay"))
    assert [columns[name][0] for name in ("web", "api", "checkout", "pay")] == [0, 1, 2, 3]
    assert servicemap.places(calls)["web"][0] == 0  # without blame, the rarest call of the circle goes back


def test_a_waterfall_has_a_plotly_twin_with_every_span_and_log():
    figure = waterfall.draw(*trace(), trace_id=TRACE).figure
    bars = [t for t in figure.data if t.type == "bar"]
    assert sum(len(t.y) for t in bars) == 6
    assert {t.name for t in bars} == {"web", "payments-api", "gateway"}
    told = [note.text for note in figure.layout.annotations]
    assert "✗ POST /charges" in told
    assert any("TypeError: Object of type Decimal" in words for words in told)


def test_exemplars_name_the_recording_that_replay_runs():
    suspect = triage().top
    tape = Recording(
        id="1" * 32, at=AT, service="payments-api", kind="asgi", summary="POST /charges -> 500 TypeError",
        trace_id=TRACE, span_id=None, failed=True, control=False,
    )  # fmt: skip
    page = views.exemplars(suspect, [tape]).html
    assert page.index(TRACE) < page.index("1" * 32) < page.index("none")


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        (999_936, "1 ms"),
        (999_400, "999 µs"),
        (999_990_000, "1 s"),
        (8_350_000, "8.35 ms"),
        (1e12, "1,000 s"),
        (12, "12 ns"),
    ],
)
def test_a_duration_is_told_in_three_digits_and_never_in_powers(duration: float, said: str) -> None:
    assert spans.spelled_ns(duration) == said


def test_a_window_without_errors_says_so_and_draws_no_scale() -> None:
    slow = triage()
    quiet = replace(slow, suspects=(), timeline=tuple(replace(each, by_fingerprint={}) for each in slow.timeline))
    drawn = charts.errors_over_time(quiet)
    assert "No errors in this window" in drawn
    assert "by suspect" not in drawn


def test_a_target_is_told_in_percent_and_one_trace_is_no_traces() -> None:
    found = triage()
    assert "99.9% availability" in views.objectives(found).html
    once = replace(found, suspects=(replace(found.top, events=1, traces=1),))
    assert "1 in 1 trace<br>" in views.suspects(once).html
    assert "1 event in 1 trace<" in views.glance(once).html


def test_lines_of_one_cell_can_be_told_apart() -> None:
    assert cell(("one", "two")).count("<div style='padding-left:1em;text-indent:-1em'>") == 2
    assert (cell(("one",)), cell(())) == ("one", "")


def test_a_plan_and_its_way_back_show_commands_as_commands() -> None:
    plan = Plan(steps=("apply it: `git apply <x>`",), approvals=(), labels=(), rollback="`git revert`", files=())
    assert "apply it: <code>git apply &lt;x&gt;</code>" in views.steps(plan).html
    assert "<code>git revert</code>" in views.steps(plan).html


def test_what_a_sandbox_held_is_told_wall_by_wall() -> None:
    shown = views.held(replace(replay(), sandbox="bwrap", enforced=("network: no socket can be made", "odd"))).html
    assert ">sandbox bwrap</th>" in shown
    assert re.search(r"<td[^>]*>network</td><td[^>]*>no socket can be made</td>", shown)
    assert re.search(r"<td[^>]*></td><td[^>]*>odd</td>", shown)


@pytest.mark.parametrize(
    ("span", "told"),
    [(48.7e6, ["0", "10 ms", "20 ms", "30 ms", "40 ms"]), (342e3, ["0", "100 µs", "200 µs", "300 µs"])],
)
def test_a_waterfall_is_measured_in_round_times(span: float, told: list[str]) -> None:
    assert [spans.spelled_ns(tick) if tick else "0" for tick in axes.round_ticks(span)] == told
    assert axes.round_ticks(0) == [0]


def test_the_glance_says_when_its_records_were_not_made_from_one_another() -> None:
    found, again = triage(), replay()
    why = replace(diagnosis(), parents=(again.digest, found.digest))
    assert "mind that" not in views.glance(found, again, why).html
    other = replace(again, parents=("0" * 64,))
    told = "the diagnosis shown here was made from another replay than the one shown here"
    assert told in views.glance(found, other, why).html


def test_who_was_paged_reads_every_answer_in_a_line() -> None:
    found = triage()
    html = views.answers(found).html
    told = ("charges-availability", TITLE, "after the deploy", "amex", "100% of the failing requests",
            "no attribute says", "no service: nothing went worse", "2 recordings", "replay CASE")  # fmt: skip
    for said in told:
        assert said in html
    alone = replace(found.suspects[0], contrast=(), recordings=(), change=None)
    quiet = views.answers(replace(found, suspects=(alone,))).html
    assert "nothing separates its requests" in quiet
    assert "no change explains it" in quiet
    assert "was recorded" in quiet
    assert "none was found" in views.answers(replace(found, suspects=())).html


def test_what_a_template_masked_stays_in_the_words_of_its_figures() -> None:
    found = triage("TimeoutError: shard <n> timed out after <amount>")
    figure = plots.plot_timeline(found)
    assert figure.data[0].name == "1. TimeoutError: shard &lt;n&gt; timed out after &lt;amo…"
    assert "shard &lt;n&gt; timed out" in views.picture(figure).svg
    odd = replace(found.suspects[0].contrast[0], attribute="<b>a", value="<str>")
    drawn = plots.plot_contrast(replace(found.suspects[0], contrast=(odd,)))
    assert "&lt;b&gt;a = &lt;str&gt;" in views.picture(drawn).svg


def test_what_sets_requests_apart_is_told_whole_above_its_bars() -> None:
    found = triage()
    value = "one of KR, MX, US, AU, CA, IL, IN, JP, TR, ZA"
    telling = replace(found.top.contrast[0], attribute="payments.card.country", value=value)
    drawn = ET.fromstring(views.picture(plots.plot_contrast(replace(found.top, contrast=(telling,)))).svg)
    words = next(x for x in drawn.findall(".//{*}text") if (x.text or "").startswith("payments"))
    bar = max(drawn.findall(".//{*}rect[@fill='#c94f00']"), key=lambda x: float(x.get("width", 0)))
    assert words.text == f"payments.card.country = {value}"
    assert float(words.get("x", 0)) < 60
    assert float(words.get("y", 0)) < float(bar.get("y", 0))


def test_only_functions_that_raised_are_unfolded_in_a_slice() -> None:
    source = "def raised():\n    1 / 0"
    raised = Slice(file="a.py", function="raised", start_line=1, end_line=2, source=source, failing_line=2)
    beside = replace(raised, function="beside", failing_line=None, source="def beside():\n    pass")
    html = views.slices(Diagnosis(slice=(raised, beside, replace(beside, function="other")))).html
    shown, folded = html.split("<details>")
    assert "▶    2" in shown
    assert "def beside" not in shown
    assert "<summary>2 more functions that they ran or used: a.py: beside, a.py: other</summary>" in folded
    assert "<details>" not in views.slices(Diagnosis(slice=(raised,))).html


def test_a_column_in_which_nothing_is_told_is_left_out_of_the_contrast() -> None:
    found = triage()
    alone, same = (replace(found.top.contrast[0], same_as=names) for names in ((), ("b = 2",)))
    assert "same as" not in views.contrast(replace(found, suspects=(replace(found.top, contrast=(alone,)),))).html
    assert "b = 2" in views.contrast(replace(found, suspects=(replace(found.top, contrast=(alone, same)),))).html


def test_a_lone_cell_heads_the_rows_of_its_objective() -> None:
    html = triage_html(triage())
    assert "colspan='6'><b>charges-availability</b>: 99.9% availability over 30 days (objective.openslo.yaml)" in html
