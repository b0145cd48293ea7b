import gzip
import html.parser
import io
import itertools
import json
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from sim.errors import ResultsError
from sim.report import render
from sim.report.terminal import show
from sim.report.view import view
from sim.study.results import Results


class Page(html.parser.HTMLParser):
    """Collects what could load or run something."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.open, self.broken, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.broken.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_small(page, folder):
    assert page.broken == []
    assert page.open == []
    assert (folder / "report.html").stat().st_size < 1_500_000


def test_the_page_holds_the_data_of_its_charts(page, folder):
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    held = [unquote(link.partition(",")[2]) for link in links if link.startswith("data:text/csv;")]
    files = [path.read_text(encoding="utf-8") for path in sorted((folder / "plots").glob("*.csv"))]
    assert held
    assert set(held) <= set(files)


def test_the_page_runs_and_loads_nothing(page):
    assert "script" not in page.tags
    assert not [item for item in page.attributes if item[1].startswith("on")]
    loads = [
        (t, n, v) for t, n, v in page.attributes if n in ("src", "href", "xlink:href", "srcset", "action")
    ]
    assert loads
    assert all(value.startswith(("#", "data:")) for _, _, value in loads)


def test_the_page_shows_what_the_author_wrote_as_text(page):
    text = "".join(page.text)
    assert 'Is <script>alert(1)</script> $x^2$ [bold]faster[/bold] & "better"?' in text
    assert "<img src=x onerror=alert(1)>" in text


def test_the_answer_names_the_best_arm_and_what_was_ruled_out(folder):
    shown = view(Results(folder), drawn=False)
    assert shown.figure.startswith("one: ")
    assert any("Ruled out: busy" in sentence for sentence in shown.answer)


def test_every_chart_is_there_as_svg_and_csv(folder):
    shown = view(Results(folder), drawn=True)
    charts = [shown.lead, *(chart for section in shown.sections for chart in section.charts)]
    assert len(charts) > 8
    for chart in charts:
        ElementTree.fromstring((folder / "plots" / f"{chart.key}.svg").read_text(encoding="utf-8"))
        rows = (folder / "plots" / f"{chart.key}.csv").read_text(encoding="utf-8").splitlines()
        assert len(rows) > 1
        assert chart.reading.endswith(".")


def test_ids_inside_the_charts_do_not_collide(page):
    ids = [value for _, name, value in page.attributes if name == "id"]
    # matplotlib numbers its groups afresh in every drawing; only ids that something refers to matter.
    used = {v[5:-1] for _, n, v in page.attributes if n == "clip-path" and v.startswith("url(#")}
    used |= {v[1:] for _, n, v in page.attributes if n == "xlink:href" and v.startswith("#")}
    assert used
    assert not [name for name in used if ids.count(name) != 1]


def test_rendering_again_gives_the_same_bytes(folder):
    def content():
        names = ["report.html", "timeline.json.gz", *sorted(str(p) for p in (folder / "plots").iterdir())]
        return [(folder / name).read_bytes() for name in names]

    before = content()
    render(folder)
    assert content() == before


def test_the_terminal_takes_nothing_for_markup(folder):
    from rich.console import Console

    out = io.StringIO()
    show(folder, Console(file=out, width=100, color_system=None))
    text = out.getvalue()
    assert "[bold]faster[/bold]" in text
    assert "p99 latency" in text


def test_the_timeline_nests_and_closes(folder):
    trace = json.loads(gzip.decompress((folder / "timeline.json.gz").read_bytes()))
    events = trace["traceEvents"]
    begun = {(e["pid"], e["id"]) for e in events if e["ph"] == "b"}
    ended = {(e["pid"], e["id"]) for e in events if e["ph"] == "e"}
    assert begun == ended
    assert begun
    named = {e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert {e["pid"] for e in events} == named
    assert all(e["ts"] >= 0 for e in events)
    slices = {}
    for event in events:
        if event["ph"] == "X":
            slices.setdefault((event["pid"], event["tid"]), []).append(
                (event["ts"], event["ts"] + event["dur"])
            )
    assert slices
    for spans in slices.values():
        spans.sort()
        assert all(first[1] <= second[0] + 1e-6 for first, second in itertools.pairwise(spans))


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(ResultsError, match="not a results folder"):
        render(tmp_path)
