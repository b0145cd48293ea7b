"""YAML 1.2 core rules, positions, and what is refused."""

import pytest

from sim.errors import ScenarioError
from sim.scenario import document
from sim.scenario.document import dotted, parse, parse_value, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"), ("on", "on"), ("yes", "yes"), ("off", "off"), ("y", "y"),
        ("true", True), ("False", False), ("TRUE", True), ("tRue", "tRue"),
        ("null", None), ("~", None), ("", None), ("nULL", "nULL"),
        ("12", 12), ("012", 12), ("-7", -7), ("+3", 3), ("0o14", 12), ("0x1F", 31), ("1_000", "1_000"),
        ("1e3", 1000.0), ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-1.5E+2", -150.0),
        ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("0b11", "0b11"),
        ("'12'", "12"), ('"true"', "true"),
        ("!!str 12", "12"), ("! 12", "12"), ("!!int '12'", 12), ("!!float 1", 1),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = parse(f"key: {text}").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written():
    assert list(parse("1: a\n1.50: b\ntrue: c\nnull: d\n0x10: e").data) == [
        "1",
        "1.50",
        "true",
        "null",
        "0x10",
    ]


def test_positions_of_keys_and_values():
    found = parse("a:\n  b: [1, {c: 2}]\n# comment\nd: |\n  text\n")
    assert found.position(("a", "b")) == (2, 6)
    assert found.position(("a", "b"), of_key=True) == (2, 3)
    assert found.position(("a", "b", 1, "c")) == (2, 14)
    assert found.position(("d",)) == (4, 4)


def test_a_place_that_was_not_written_has_the_position_of_what_is_around_it():
    found = parse("a:\n  b: {c: 1}\n")
    assert found.position(("a", "b", "missing"), of_key=True) == (2, 3)
    assert found.position(("nothing",), of_key=True) == (1, 1)


def test_anchors_are_copied_and_keep_the_position_of_their_text():
    found = parse("base: &b {x: 1}\nuse: *b\n")
    assert found.data["use"] == {"x": 1}
    assert found.position(("use", "x")) == (1, 14)


def test_merge_keys_fill_in_what_is_not_written():
    found = parse(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: {<<: *b, z: 9}}"
    ).data
    assert found["c"] == {"x": 3, "y": 1, "z": 2}
    assert found["d"] == {"y": 2, "z": 9}


def test_a_quoted_merge_sign_is_a_key():
    assert parse("a: {'<<': 1}").data == {"a": {"<<": 1}}


def test_all_duplicate_keys_are_reported_with_both_places():
    with pytest.raises(ScenarioError) as caught:
        parse("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f.yaml")
    assert [str(fault) for fault in caught.value.faults] == [
        "f.yaml:2:11: b.c: the key stands twice; first at 2:5",
        "f.yaml:3:1: a: the key stands twice; first at 1:1",
    ]


def test_equal_keys_in_different_forms_are_duplicates():
    with pytest.raises(ScenarioError, match="stands twice"):
        parse("a: 1\n'a': 2\n")


@pytest.mark.parametrize("text", ["a: \x00", "a: \x07", "a: \ud800", 'a: "\\ud800"'])
def test_signs_that_yaml_forbids(text):
    with pytest.raises(ScenarioError):
        parse(text)


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert parse(read(path)).data == {"a": 1, "b": 2}


def test_another_encoding_is_told_with_its_place(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes("a: 1\nb: ü\n".encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"f\.yaml:2:4: byte 0xfc is not UTF-8"):
        read(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ScenarioError, match="no such file"):
        read(tmp_path / "nothing.yaml")
    with pytest.raises(ScenarioError, match="folder"):
        read(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (document.MAX_BYTES + 1))
    with pytest.raises(ScenarioError, match="larger than 1 MiB"):
        read(large)


def test_only_the_position_of_a_syntax_error_is_needed():
    with pytest.raises(ScenarioError) as caught:
        parse("a: [1, 2\nb: 3\n", "f.yaml")
    (fault,) = caught.value.faults
    assert (fault.line, fault.message.startswith("not YAML")) == (2, True)


def test_one_value_as_on_the_command_line():
    assert parse_value("3") == 3
    assert parse_value(" 250ms") == "250ms"
    assert parse_value("{policy: hpa, x: [1, NO]}") == {"policy": "hpa", "x": [1, "NO"]}
    assert parse_value("") is None
    for wrong in ("[1", "a: b: c", "1\nother: 2"):
        with pytest.raises(ValueError, match=r"."):
            parse_value(wrong)


def test_dotted_paths_quote_what_is_not_a_word():
    assert dotted(("a", 0, "b/c", "x.y", 'q"', "")) == "a.0.b/c.'x.y'.'q\"'.''"


@pytest.mark.parametrize(
    ("text", "code"), [('a: "x\\e[31m"', "001B"), ('a: "\\0"', "0000"), ('"k\\a": 1', "0007")]
)
def test_what_terminals_obey_is_refused_even_as_an_escape(text, code):
    with pytest.raises(ScenarioError, match=rf"U\+{code} is not allowed"):
        parse(text)
