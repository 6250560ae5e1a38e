"""Writes a config: TOML from a tree, one layer a line, as convae writes it."""

import json
from typing import Any


def toml_text(tree: dict[str, Any]) -> str:
    """Keys first, then a section for each table."""
    lines = [f"{key} = {_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for name, section in tree.items():
        if isinstance(section, dict):
            lines += ["", f"[{name}]"] + [f"{key} = {_by_line(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _by_line(value: Any) -> str:
    """A list of tables with one of them a line, anything else on one line."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)  # texts, numbers and booleans are the same in JSON
