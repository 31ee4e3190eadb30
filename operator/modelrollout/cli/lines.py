"""YAML with the lines that its fields stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_TOKEN = re.compile(r"\[([0-9]+)\]|\.?([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a YAML text."""

    value: Mapping[str, Any]
    node: yaml.MappingNode

    def line(self, path: str) -> int:
        """Line, from 1, of the field at this path, or of what is nearest to it from above."""
        node: yaml.Node = self.node
        line = node.start_mark.line
        for index, name in _TOKEN.findall(path):
            if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
                node = node.value[int(index)]
                line = node.start_mark.line
            elif isinstance(node, yaml.MappingNode) and name:
                found = next(((key, value) for key, value in node.value if key.value == name), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            else:
                break
        return line + 1


def documents(text: str) -> Iterator[Document]:
    """The objects of a YAML text, also those in Lists. Raises yaml.YAMLError, RecursionError."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if isinstance(node, yaml.MappingNode):
                yield from _objects(loader.construct_document(node), node)
    finally:
        loader.dispose()


def _objects(value: object, node: yaml.MappingNode) -> Iterator[Document]:
    if not isinstance(value, Mapping):
        return
    items = next((each for key, each in node.value if key.value == "items"), None)
    if value.get("kind") != "List" or not isinstance(items, yaml.SequenceNode):
        yield Document(value, node)
        return
    for item, found in zip(value["items"], items.value, strict=True):
        if isinstance(found, yaml.MappingNode):
            yield from _objects(item, found)
