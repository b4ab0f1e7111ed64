"""Parses YAML from strangers: no objects of other programs, bounded depth, and aliases that cannot grow without end.

Values are looked at where they stand and never made into Python objects as a whole: what nobody asks for is free.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.source import read_text, syntax_error

_MOST_DEPTH = 64
_MOST_ALIASES = 10_000
_PLAIN = "tag:yaml.org,2002:"
_TAGS = frozenset(f"{_PLAIN}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq"))
_MERGE, _NULL = f"{_PLAIN}merge", f"{_PLAIN}null"
#: libyaml's parser where it is installed, ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlFile:
    """One document. Its values are asked for by what they should be; what they are not is an error with its line."""

    def __init__(self, path: Path, limits: ReadLimits, findings: Findings) -> None:
        """Reads the file. Raises TopologySyntaxError."""
        self.path, self.findings = path, findings
        self._mappings: dict[int, dict[str, yaml.Node]] = {}
        text = read_text(path, most_bytes=limits.ns_bytes)
        try:
            self._check_shape(text)
            self.root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark is not None else None
            hint = "render the template first: `{{` is not YAML" if "{{" in text else None
            raise syntax_error(path, f"this is not YAML: {error.problem}", line=line, hint=hint) from error
        except yaml.YAMLError as error:
            raise syntax_error(path, f"this is not YAML: {error}") from error

    def _check_shape(self, text: str) -> None:
        depth = aliases = 0
        for event in yaml.parse(text, Loader=_LOADER):
            line = 0 if event.start_mark is None else event.start_mark.line + 1
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.AliasEvent):
                aliases += 1
            if depth > _MOST_DEPTH:
                raise syntax_error(self.path, f"values are nested deeper than {_MOST_DEPTH}", line=line)
            if aliases > _MOST_ALIASES:
                raise syntax_error(self.path, f"more than {_MOST_ALIASES} aliases", line=line)

    def mapping(self, node: yaml.Node | None, what: str) -> Mapping[str, yaml.Node]:
        """The values by key, merges (`<<`) included; empty where there is nothing or no mapping."""
        if node is None or node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode) or node.tag not in _TAGS:
            self.findings.error(f"{what} is not a mapping", line=line_of(node), hint="write KEY: VALUE")
            return {}
        known = self._mappings.get(id(node))
        if known is not None:
            return known
        # Set first: a mapping that is merged into itself finds itself empty.
        own = self._mappings[id(node)] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = {**self.mapping(other, f"{what}: <<"), **merged}
                continue
            name = self.text(key, f"a key of {what}")
            if name in own:
                self.findings.error(f"{what} has {name[:80]} twice", line=line_of(key))
            elif name is not None:
                own[name] = value
        for name, value in merged.items():
            own.setdefault(name, value)
        return own

    def sequence(self, node: yaml.Node | None, what: str) -> Iterator[yaml.Node]:
        """The items of a list; none where there is nothing or no list."""
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.SequenceNode) or node.tag not in _TAGS:
            self.findings.error(f"{what} is not a list", line=line_of(node), hint="write [A, B]")
            return
        yield from node.value

    def text(self, node: yaml.Node | None, what: str) -> str | None:
        """A single value as the file spells it; None where there is nothing or something else."""
        if node is None or node.tag == _NULL:
            return None
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _TAGS:
            self.findings.error(f"{what} is not a plain value", line=line_of(node))
            return None
        return str(node.value)


def line_of(node: yaml.Node) -> int:
    """The line that a value begins on, counted from 1."""
    return int(node.start_mark.line) + 1
