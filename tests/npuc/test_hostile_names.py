"""Names of a model in what npuc writes and prints for people and for apps."""

import html.parser
import io
import json
import shlex
from types import SimpleNamespace

import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from npuc.artifact.manifest import LayerRecord
from npuc.artifact.report import write_report
from npuc.stages.capture.remarks import REMARKS_NAME, write_remarks
from npuc.terminal.console import open_console
from npuc.terminal.coverage_table import coverage_table
from npuc.terminal.tables import precision_table
from program.program import Component, Modality, Role
from program.remark import Remark
from program.templating import text_templates
from targets.contract.names import REFUSED
from targets.placing.coverage import Coverage, NodeCoverage

PIECES = [
    "*/",
    "`",
    "\n```\n",
    "<script>",
    "&lt;",
    "|",
    "]",
    "[red]",
    "[/]",
    ":smile:",
    "'",
    '"',
    "$(x)",
    "{{ x }}",
]
NAMES = st.text(st.characters(codec="utf-8"), max_size=30) | st.lists(
    st.sampled_from([*PIECES, "\x1b[2J", "\x9b", "\r", "\0", "\u202e", "name"])
).map("".join)
FUNCTION_FIXTURES = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(attrs)))

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")


def component(manifest, name):
    layer = LayerRecord(node=name, weight=name, modality=name, format="e4m3", reason=name)
    return manifest.model_copy(
        update={
            "source": {"source": name},
            "notes": (name,),
            "components": (
                SimpleNamespace(name=name, role=name, npu=None, segments=(), layers=(layer,), source=None),
            ),
        }
    )


@FUNCTION_FIXTURES
@given(NAMES)
def test_the_report_keeps_its_elements(manifest, tmp_path, monkeypatch, name):
    monkeypatch.setattr("npuc.artifact.report.fidelity_rows", lambda _: ())
    monkeypatch.setattr("npuc.artifact.report.fidelity_notes", lambda _: (name,))
    pages = []
    for text in ("plain", name):
        write_report(component(manifest, text), tmp_path)
        pages.append((tmp_path / "report.html").read_text("utf-8"))
    plain, named = map(Tags, pages)
    assert named.tags == plain.tags
    assert len(pages[1].splitlines()) == len(pages[0].splitlines())


def shell_lines(readme):
    """The words of each line in a block of shell code."""
    blocks = readme.split("```bash\n")[1:]
    return [
        shlex.split(line)
        for block in blocks
        for line in block.split("\n```")[0].replace("\\\n", "").split("\n")
    ]


def fences(readme):
    return [line for line in readme.split("\n") if line.lstrip().startswith("```")]


def readme(name):
    entry = {"program": f"cpu/{name}", "weights": f"model/{name}"}
    unit = {"name": name, "object": name, "triple": name, "arena_bytes": 1}
    device = {"name": name, "soc": {"name": name, "model": name}}
    sections = [
        section("targets.snapdragon.htp", "readme.md.j2").render(
            device=device,
            sessions={"chips": [name], "runtime": {"qnn_sdk": name}},
            arch="79",
            weights=[f"model/{name}"],
            model=f"htp/{name}",
        ),
        section("targets.snapdragon.hexagon", "readme.md.j2").render(device=device, hvx=[unit]),
        section("npuc", "templates/device_readme_cpu.md.j2").render(cpu=[entry], weights=[f"model/{name}"]),
    ]
    page = section("npuc", "templates/device_readme.md.j2")
    return page.render(device=device, sections=Markup("\n").join(map(Markup, sections)))


def section(package, template):
    return text_templates(package).get_template(template)


@settings(deadline=None)
@given(NAMES)
def test_the_readme_keeps_its_lines_and_commands(name):
    plain, named = readme("plain"), readme(name)
    assert len(named.splitlines()) == len(plain.splitlines())
    assert fences(named) == fences(plain)
    for expected, actual in zip(shell_lines(plain), shell_lines(named), strict=True):
        assert len(actual) == len(expected)
        for before, after in zip(expected, actual, strict=True):
            if before.startswith("cd /data"):  # a command for the device's own shell
                assert len(shlex.split(before)) == len(shlex.split(after))


@settings(deadline=None)
@given(NAMES)
def test_a_terminal_gets_no_commands(name):
    manifest = SimpleNamespace(
        components=[
            SimpleNamespace(
                name=name, layers=[SimpleNamespace(weight=name, modality=name, format=name, reason=name)]
            )
        ]
    )
    row = NodeCoverage(node=name, op_type=name, placement=REFUSED, reason=name, remedy=name)
    console = open_console(file=io.StringIO())
    console.print(precision_table(manifest, layers=True))
    console.print(coverage_table([Coverage(component=name, nodes=(row,))]))
    console.print(name, highlight=False)
    text = console.file.getvalue()
    assert all(character == "\n" or character == "\t" or character.isprintable() for character in text)


@FUNCTION_FIXTURES
@given(NAMES)
def test_remarks_stay_one_json_line_each(tmp_path, name):
    write_remarks({name: [Remark(name, name, name, name, name), Remark("b", "c", "d", "e", "f")]}, tmp_path)
    lines = (tmp_path / REMARKS_NAME).read_bytes().split(b"\n")
    assert [json.loads(line)["component"] for line in lines if line] == [name, name]


def make_component(names):
    values = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1])) for name in names
    ]
    graph = ir.Graph(values, values, nodes=(), opset_imports={"": 23}, name="g")
    return Component("model", Role.MODEL, Modality.TEXT, ir.Model(graph, ir_version=10))


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4, unique=True))
def test_specs_keep_names_apart(names):
    specs = make_component(names).inputs
    document = json.loads(json.dumps({spec.name: 0 for spec in specs}, ensure_ascii=False))
    assert list(document) == names
