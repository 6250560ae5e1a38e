"""What the config language knows: every key, kind and name of a config checked against the program's
own table, so that nothing of the language is written down here."""

from typing import Any

from .failure import Failure
from .program import reference

Path = tuple[str | int, ...]
"""Of a value in a config: `("model", "encoder", 0, "filters")`."""
A_PATH = "a path in quotes"
"""The type of a key that leads to files; such a key is another one for each kind of data."""


def members(place: str) -> dict[str, dict[str, Any]]:
    """The kinds that a table at `place` may be of, by name."""
    return {member["name"]: member for member in reference()[place]["members"]}


def keys_of(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys of a section, or of a member, by name."""
    return {key["name"]: key for key in table["keys"]}


def names(place: str, key: str, member: str | None = None) -> dict[str, str]:
    """The names that a key takes, and their other spellings, each with the name that is meant."""
    table = members(place)[member] if member else reference()[place]
    return _spellings(keys_of(table)[key])


def defaults(place: str, member: str | None = None) -> dict[str, Any]:
    """What the keys are where they are not written; without those that must be given or are not set."""
    keys = (members(place)[member] if member else reference()[place])["keys"]
    return {key["name"]: key["default"] for key in keys if key["default"] is not None}


def check(tree: dict[str, Any], set_paths: frozenset[Path] = frozenset()) -> dict[str, Any]:
    """A copy of a config in which every key is known and every name is Keras's. `set_paths` are those
    that `--set` wrote: a kind among them replaces the file's."""
    return _table(tree, "", (), set_paths)


def _table(given: Any, place: str, path: Path, set_paths: frozenset[Path], default: Any = None) -> dict[str, Any]:
    """`default` is what the table is where it is not written: a `--set` of one of its keys alone keeps
    its kind."""
    if not isinstance(given, dict):
        raise Failure(f"`{said(path)}` is {given!r}; give a table")
    section, table = reference()[place], dict(given)
    known, found = section, {}
    if "by" in section:
        by = section["by"]
        unwritten = default.get(by) if isinstance(default, dict) else default
        kind = table.pop(by, section["default"] or unwritten)
        kind = section.get("texts", {}).get(kind, kind)
        if kind not in members(place):
            raise Failure(f"`{said((*path, by))}` is {kind!r}; known are {_list(members(place))}")
        known, found = members(place)[kind], {by: kind}
        if _is_set((*path, by), set_paths):
            table = _kept(table, keys_of(known), path, set_paths)
    keys = keys_of(known)
    new_names = {key["old_name"]: name for name, key in keys.items() if key["old_name"]}
    for name, value in table.items():
        name = new_names.get(name, name)
        if name not in keys:
            raise Failure(f"the key `{said((*path, name))}` is not known; known are {_list(keys)}")
        inner = f"{place}.{name}" if place else name
        found[name] = _value(value, keys[name], inner, (*path, name), set_paths)
    return found


def _value(given: Any, key: dict[str, Any], place: str, path: Path, set_paths: frozenset[Path]) -> Any:
    if key["choices"]:
        spellings = _spellings(key)
        if not isinstance(given, str) or given not in spellings:
            raise Failure(f"`{said(path)}` is {given!r}; known are {_list(set(spellings.values()))}")
        return spellings[given]
    section = reference().get(place, {})
    if isinstance(given, str) and section.get("texts"):
        if given not in section["texts"]:
            raise Failure(f"`{said(path)}` is {given!r}; known are {_list(section['texts'])}, or a table")
        given = {section["by"]: section["texts"][given]}
    if isinstance(given, list) and f"{place}[]" in reference():
        return [_table(item, f"{place}[]", (*path, i), set_paths) for i, item in enumerate(given)]
    return _table(given, place, path, set_paths, key["default"]) if place in reference() else given


def _spellings(key: dict[str, Any]) -> dict[str, str]:
    return {text: choice["name"] for choice in key["choices"] for text in (choice["name"], *choice["aliases"])}


def _is_set(path: Path, set_paths: frozenset[Path]) -> bool:
    """Whether `--set` wrote the value itself, or something that it stands in."""
    return any(path[:length] in set_paths for length in range(1, len(path) + 1))


def _kept(table: dict[str, Any], keys: dict[str, Any], path: Path, set_paths: frozenset[Path]) -> dict[str, Any]:
    """As in convae (`keep_keys`): what the file says of its own kind goes when `--set` names another
    one, but for keys that both kinds have and that lead to no files."""
    return {
        name: value for name, value in table.items()
        if _is_set((*path, name), set_paths) or (name in keys and keys[name]["type"] != A_PATH)
    }


def said(path: Path) -> str:
    """As a user writes it: `model.encoder[0].filters`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the config"


def _list(found: Any) -> str:
    return ", ".join(sorted(found)) or "none"
