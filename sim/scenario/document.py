"""Text to plain data: YAML by the rules of version 1.2, with the position of every key and value.

PyYAML follows YAML 1.1, where `NO` is false, `012` is ten, `1e3` is text and the last of two equal
keys wins silently. Here PyYAML only finds the tokens; scalars follow the core schema of YAML 1.2.2
(section 10.3.2), equal keys are an error and no tag ever builds anything but plain data.

Keys are always text: `1: 2ms` has the key "1", exactly as written. `NaN` and infinity are refused,
because no setting of a scenario can be either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sim.errors import Fault, ScenarioError

#: Where a value stands in the data: mapping keys and list indices from the root.
Location = tuple[str | int, ...]
#: Line and column, both counted from one.
Position = tuple[int, int]

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 40
MAX_DIGITS = 300

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PREFIX = "tag:yaml.org,2002:"
_SCALAR_TAGS = {"str", "int", "float", "bool", "null"}


@dataclass(frozen=True)
class Document:
    """Plain data of one file and where each part of it was written."""

    file: str
    data: dict[str, Any]
    keys: Mapping[Location, Position] = field(default_factory=dict)
    values: Mapping[Location, Position] = field(default_factory=dict)

    def position(self, path: Location, *, of_key: bool = False) -> Position:
        """Position of the value (or the key) at `path`, or of its nearest ancestor that was written."""
        if not of_key and path in self.values:
            return self.values[path]
        for end in range(len(path), 0, -1):
            at = self.keys.get(path[:end]) or self.values.get(path[:end])
            if at is not None:
                return at
        return (1, 1)


def read(path: Path) -> str:
    """Text of a scenario file.

    Raises:
        ScenarioError: no such file, too large, or not UTF-8.
    """
    name = str(path)
    try:
        if not path.is_file():
            raise _error(name, None, "this is a folder, not a file" if path.is_dir() else "no such file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error(name, None, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _error(name, None, f"not a path: {error}") from None
    if len(raw) > MAX_BYTES:
        raise _error(name, None, f"larger than {MAX_BYTES >> 20} MiB, the limit for a scenario")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        at = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _error(
            name, at, f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def parse(text: str, file: str = "<text>") -> Document:
    """The document in a YAML text.

    Raises:
        ScenarioError: with every fault of the text that could be found.
    """
    if len(text) > MAX_BYTES:
        raise _error(file, None, f"larger than {MAX_BYTES >> 20} MiB, the limit for a scenario")
    text = text.removeprefix("\ufeff")
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        at = (text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start()))
        raise _error(file, at, f"the character U+{ord(bad[0]):04X} is not allowed in YAML")
    try:
        root = _Composer(file).compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else None
        raise _error(file, place, _explain(error, text)) from None
    except yaml.YAMLError as error:
        raise _error(file, None, f"not YAML: {' '.join(str(error).split())}") from None
    return _Expansion(file).document(root)


def parse_value(text: str) -> Any:
    """One plain value written as YAML, as on the command line: `3`, `250ms`, `{policy: hpa}`.

    Raises:
        ValueError: the text is not one YAML value.
    """
    try:
        document = parse(f"value: {text}" if "\n" not in text else f"value:\n{text}", "<value>")
    except ScenarioError as error:
        raise ValueError(error.faults[0].message) from None
    if list(document.data) != ["value"]:
        raise ValueError(f"{text!r} is not one YAML value")
    return document.data["value"]


def scalar(text: str) -> Any:
    """What a plain (unquoted) scalar means in the core schema of YAML 1.2.

    Raises:
        ValueError: a number that is not finite or has too many digits.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    whole = _INT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text)
    if whole is None and not _FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too long")
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _INT.fullmatch(text):
        return int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return number


@dataclass(slots=True)
class _Scalar:
    at: Position
    text: str
    value: Any
    plain: bool
    fault: str = ""


@dataclass(slots=True)
class _Sequence:
    at: Position
    items: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Mapping:
    at: Position
    pairs: list[tuple[_Node, _Node]] = field(default_factory=list)


@dataclass(slots=True)
class _Alias:
    at: Position
    target: _Node


_Node = _Scalar | _Sequence | _Mapping | _Alias


class _Composer:
    """Turns PyYAML's events into nodes; aliases stay references to what they name."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.anchors: dict[str, _Node] = {}

    def compose(self, text: str) -> _Node:
        root: _Node | None = None
        events = yaml.parse(text, Loader=_LOADER)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise _error(self.file, _at(event), "a second document; a scenario is one YAML document")
            if isinstance(event, yaml.NodeEvent):
                root = self.node(event, events, 0)
        if root is None or (isinstance(root, _Scalar) and root.plain and root.value is None):
            raise _error(self.file, (1, 1), "the file is empty; `stratus init` writes one to start from")
        if not isinstance(root, _Mapping):
            raise _error(self.file, root.at, "a scenario is a mapping: `name: ...`, `duration: ...`")
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        at = _at(event)
        if depth > MAX_DEPTH:
            raise _error(self.file, at, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _error(self.file, at, f"the anchor &{event.anchor} is not defined above this line")
            return _Alias(at, self.anchors[event.anchor])
        made = self.make(event, at)
        if event.anchor is not None:
            self.anchors[event.anchor] = made
        if isinstance(made, _Sequence):
            for inner in events:
                if isinstance(inner, yaml.SequenceEndEvent):
                    break
                made.items.append(self.node(inner, events, depth + 1))
        elif isinstance(made, _Mapping):
            for inner in events:
                if isinstance(inner, yaml.MappingEndEvent):
                    break
                key = self.node(inner, events, depth + 1)
                made.pairs.append((key, self.node(next(events), events, depth + 1)))
        return made

    def make(self, event: Any, at: Position) -> _Node:
        if isinstance(event, yaml.SequenceStartEvent):
            self.check_tag(event, at, {"seq"})
            return _Sequence(at)
        if isinstance(event, yaml.MappingStartEvent):
            self.check_tag(event, at, {"map"})
            return _Mapping(at)
        tag = self.check_tag(event, at, _SCALAR_TAGS)
        bad = _FORBIDDEN.search(event.value)
        if bad is not None:
            # Written as an escape, such as "\\e": it would reach terminals, file names and pages.
            sign = f"the character U+{ord(bad[0]):04X} is not allowed in a scenario"
            return _Scalar(at, _FORBIDDEN.sub("\ufffd", event.value), "", plain=False, fault=sign)
        plain = event.style in (None, "") and tag is None
        if not plain and tag in (None, "str"):
            return _Scalar(at, event.value, event.value, plain=False)
        try:
            value = scalar(event.value)
        except ValueError as error:
            return _Scalar(at, event.value, event.value, plain, fault=str(error))
        wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None), None: object}[tag]
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            return _Scalar(at, event.value, value, plain, fault=f"{event.value!r} is not a YAML {tag}")
        return _Scalar(at, event.value, value, plain)

    def check_tag(self, event: Any, at: Position, allowed: set[str]) -> str | None:
        tag = event.tag
        if tag is None:
            return None
        if tag == "!":
            return "str" if "str" in allowed else None
        short = tag.removeprefix(_PREFIX)
        if tag.startswith(_PREFIX) and short in allowed:
            return str(short)
        shown = f"!!{short}" if tag.startswith(_PREFIX) else tag
        raise _error(self.file, at, f"the tag {shown} is not allowed; a scenario is plain data")


class _Expansion:
    """Turns nodes into plain data, collecting faults and positions on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.keys: dict[Location, Position] = {}
        self.values: dict[Location, Position] = {}
        self.count = 0

    def document(self, root: _Node) -> Document:
        data = self.value(root, ())
        if self.faults:
            raise ScenarioError(self.faults)
        return Document(self.file, data, self.keys, self.values)

    def fault(self, at: Position, path: Location, message: str) -> None:
        self.faults.append(Fault(self.file, *at, dotted(path), message))

    def value(self, node: _Node, path: Location) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _error(
                self.file,
                node.at,
                f"expands to more than {MAX_NODES:,} values (anchors repeated in anchors?)",
            )
        if len(path) > MAX_DEPTH:
            raise _error(self.file, node.at, f"nested more than {MAX_DEPTH} levels deep")
        self.values.setdefault(path, node.at)
        if isinstance(node, _Alias):
            return self.value(node.target, path)
        if isinstance(node, _Scalar):
            if node.fault:
                self.fault(node.at, path, node.fault)
            return node.value
        if isinstance(node, _Sequence):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        return self.mapping(node, path)

    def mapping(self, node: _Mapping, path: Location) -> dict[str, Any]:
        seen: dict[str, tuple[Position, _Node]] = {}
        merged: list[tuple[str, Position, _Node]] = []
        for key_node, value_node in node.pairs:
            key = _target(key_node)
            if not isinstance(key, _Scalar):
                self.fault(key_node.at, path, "a key must be a single word or text")
            elif key.fault and not key.plain:
                self.fault(key_node.at, path, key.fault)
            elif key.plain and key.text == "<<":
                merged.extend(self.merge(value_node, path, 0))
            elif key.text in seen:
                (line, column), _ = seen[key.text]
                self.fault(key_node.at, (*path, key.text), f"the key stands twice; first at {line}:{column}")
            else:
                seen[key.text] = (key_node.at, value_node)
        for text, at, value in merged:
            seen.setdefault(text, (at, value))
        result = {}
        for text, (at, value) in seen.items():
            self.keys[(*path, text)] = at
            result[text] = self.value(value, (*path, text))
        return result

    def merge(self, node: _Node, path: Location, depth: int) -> Iterator[tuple[str, Position, _Node]]:
        """Pairs brought in by `<<`; of two sources the first wins, and nested `<<` are followed."""
        source = _target(node)
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            raise _error(self.file, node.at, "the merge key << repeats itself without end")
        if isinstance(source, _Sequence):
            for item in source.items:
                yield from self.merge(item, path, depth + 1)
            return
        if not isinstance(source, _Mapping):
            self.fault(node.at, (*path, "<<"), "the merge key << needs a mapping or a list of mappings")
            return
        nested = []
        for key_node, value_node in source.pairs:
            key = _target(key_node)
            if isinstance(key, _Scalar) and key.plain and key.text == "<<":
                nested.append(value_node)
            elif isinstance(key, _Scalar):
                self.count += 1
                yield key.text, key_node.at, value_node
        for inner in nested:
            yield from self.merge(inner, path, depth + 1)


def dotted(path: Location) -> str:
    """`("a", 0, "x.y")` as `a.0.'x.y'`: the form that `--set` reads back."""
    return ".".join(_quoted(part) for part in path)


def _quoted(part: str | int) -> str:
    text = str(part)
    if text and not re.search(r"[.'\"=\s]", text):
        return text
    return f'"{text}"' if "'" in text else f"'{text}'"


def _target(node: _Node) -> _Node:
    while isinstance(node, _Alias):
        node = node.target
    return node


def _at(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _error(file: str, at: Position | None, message: str) -> ScenarioError:
    line, column = at or (0, 0)
    return ScenarioError([Fault(file, line, column, "", message)])


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = error.problem or "not YAML"
    mark = error.problem_mark
    lines = text.splitlines()
    if mark is not None and mark.line < len(lines):
        line = lines[mark.line]
        if "\t" in line[: mark.column + 1] and not line[: mark.column].strip(" \t"):
            return "a tab where YAML wants spaces; indent with spaces"
    if "mapping values are not allowed" in problem:
        return "not YAML: a colon followed by a space inside plain text; put the text in quotes"
    context = f" {error.context}" if error.context else ""
    return f"not YAML: {problem}{context}"
