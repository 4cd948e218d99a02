"""What msgspec says of a wrong document, in the words of who wrote the document: the key first, then what it needs."""
from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

#: JSON's and Python's names of things, and what they are called in TOML.
WORDS = {"array": "a list", "object": "a table", "str": "text", "int": "a whole number", "float": "a number",
         "bool": "true or false"}
#: What the pattern of a name allows.
NAME_RULE = "lower-case letters, digits and _, a letter first, at most 32"


def complaint(error: msgspec.ValidationError, root: type[msgspec.Struct]) -> str:
    """One line: "engine.server: 'x' is none of sync, async". `root` is what was to be made of the document."""
    problem, _, where = str(error).partition(" - at `")
    in_name = where.startswith("key` in `")         # a table's entry has a wrong name
    where = where.removeprefix("key` in `").rstrip("`") + "[...]" * in_name
    key = where.rstrip("`").removeprefix("$").removeprefix(".").replace("[...]", ".*")
    dot = "." if key else ""
    if field := _quoted(problem, "unknown field"):
        return f"{key}{dot}{field}: no such key{_meant(field, _kind(root, key))}"
    if field := _quoted(problem, "missing required field"):
        return f"{key}{dot}{field}: is missing"
    found = _found(problem, NAME_RULE if in_name else "", _kind(root, key))
    return f"{key}: {found}" if key else found


def culprit(document: dict[str, Any], table: str, kind: Any) -> str:
    """The entry that cannot be converted: msgspec says of a table's entry that it is one, not which."""
    entries = document.get(table, {})
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            msgspec.convert({name: entry}, kind)
        except msgspec.ValidationError:
            return f'"{name}"' if "-" in name else name
    return "*"


def _quoted(problem: str, words: str) -> str:
    return problem.partition(f"{words} `")[2].rstrip("`")


def _meant(field: str, kind: Any) -> str:
    known = [one.encode_name for one in msgspec.structs.fields(kind)] if _is_struct(kind) else []
    near = get_close_matches(field, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}" if known else ""


def _found(problem: str, rule: str, kind: Any) -> str:
    """What was expected, and what stands there instead."""
    if problem.startswith("Invalid enum value "):
        choices = [str(value) for value in get_args(kind)] if get_origin(kind) is Literal else []
        return f"{problem.removeprefix('Invalid enum value ')} is none of {', '.join(choices)}"
    if rule:
        return f"a name is {rule}"
    told = problem.replace("Expected", "expected")
    if "`int | str`" in told:
        return told.replace("`int | str`", 'an exact number: text, "0.001", or a whole number').replace(
            "`float`", "a float")
    return re.sub(r"`(\w+)( \| null)?`", lambda name: WORDS.get(name[1], name[1]), told)


def _kind(root: Any, key: str) -> Any:
    """The type that stands at a key; None where it leads nowhere."""
    kind = root
    for part in key.split(".") if key else ():
        if _is_struct(kind):
            kind = get_type_hints(kind, include_extras=True).get(part)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
