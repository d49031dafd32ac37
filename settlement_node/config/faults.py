"""Faults of a configuration in words: which key, what is wrong with it, how to mend it."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from settlement_node.errors import InvalidInput

ModelT = TypeVar("ModelT", bound=BaseModel)
DEPTH_MAX = 8
"""Deeper than any key there is; a bound for names of variables."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `mend` may be empty when the fault says it all."""

    key: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key} {self.wrong}" + (f" — {self.mend}" if self.mend else "")


class ConfigurationInvalid(InvalidInput):
    """A settings or fund file cannot be used; `faults` has every reason."""

    code: ClassVar[str] = "configuration_invalid"

    def __init__(self, path: Path, faults: Sequence[Fault]) -> None:
        lines = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(
            f"{path} cannot be used:{lines}",
            file=str(path),
            faults=[{"key": f.key, "wrong": f.wrong, "mend": f.mend} for f in faults],
        )
        self.faults = tuple(faults)


def read_toml(path: Path, *, if_absent: str) -> dict[str, Any]:
    """The file's tree; raises ConfigurationInvalid, with a mend when there is no such file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fault = Fault("the file", "is not there", if_absent)
    except tomllib.TOMLDecodeError as error:
        fault = Fault("the file", f"is not TOML: {error}", "")
    except UnicodeDecodeError:
        fault = Fault("the file", "is not UTF-8 text", "save it as UTF-8")
    except OSError as error:
        fault = Fault("the file", f"cannot be read: {error.strerror}", "")
    raise ConfigurationInvalid(path, [fault])


def overlay_environment(
    tree: dict[str, Any], environment: Mapping[str, str], *, prefix: str, path: Path
) -> dict[str, str]:
    """Write every variable with the prefix over the tree, in place; keys by variable's path.

    Returns the variable of each overridden key. A value that starts with `[` or `{` is JSON.
    """
    overridden: dict[str, str] = {}
    for variable in sorted(name for name in environment if name.startswith(prefix)):
        steps = variable[len(prefix) :].lower().split("__")
        if not all(steps) or len(steps) > DEPTH_MAX:
            raise ConfigurationInvalid(
                path, [Fault(variable, "names no key", f"write {prefix}DATABASE__URL, say")]
            )
        try:
            _put(tree, steps, _value(environment[variable]))
        except (LookupError, ValueError, TypeError):
            raise ConfigurationInvalid(
                path,
                [
                    Fault(
                        variable,
                        "does not fit the file",
                        "list entries are numbered from zero, and the next free number adds one",
                    )
                ],
            ) from None
        overridden[_dotted(steps)] = variable
    return overridden


def parse_tree(
    model: type[ModelT], tree: Mapping[str, Any], *, overridden: Mapping[str, str], path: Path
) -> ModelT:
    """Validate; raises ConfigurationInvalid with every fault in words."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        places = [item["loc"] for item in found]
        faults = [
            _fault(model, item["type"], item["loc"], item["msg"], overridden)
            for item in found
            # A list is not too short because an entry of it is wrong.
            if item["type"] != "too_short" or not _is_above(item["loc"], places)
        ]
        raise ConfigurationInvalid(path, faults) from None


def _is_above(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    return any(len(one) > len(place) and one[: len(place)] == place for one in places)


def _value(text: str) -> Any:
    return json.loads(text) if text[:1] in ("[", "{") else text


def _put(node: Any, steps: Sequence[str], value: Any) -> None:
    head, rest = steps[0], steps[1:]
    if isinstance(node, list):
        index = int(head)
        if index == len(node):
            node.append({})
        if index < 0:
            raise IndexError(index)
        if rest:
            _put(node[index], rest, value)
        else:
            node[index] = value
        return
    if not isinstance(node, dict):
        raise TypeError(type(node).__name__)
    if not rest:
        node[head] = value
        return
    if head not in node:
        node[head] = [] if rest[0].isdecimal() else {}
    _put(node[head], rest, value)


def _fault(
    model: type[BaseModel],
    kind: str,
    location: tuple[int | str, ...],
    message: str,
    overridden: Mapping[str, str],
) -> Fault:
    key = _dotted(location) or "the file"
    variable = overridden.get(key)
    if variable is not None:
        key = f"{key} (set by {variable})"
    name = location[-1] if location else ""
    parent = _model_at(model, location[:-1])
    known = parent.model_fields if parent is not None else {}
    if kind == "extra_forbidden":
        return Fault(key, "is not a known key", _nearest(str(name), list(known)))
    # A number is a list's entry as a whole.
    description = known[name].description or "" if isinstance(name, str) and name in known else ""
    if kind == "missing":
        return Fault(key, "is missing", description)
    words = message.removeprefix("Value error, ")
    return Fault(key, f"is wrong: {words[:1].lower()}{words[1:]}", description)


def _dotted(location: Sequence[int | str]) -> str:
    text = ""
    for step in location:
        if isinstance(step, int) or step.isdecimal():
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int):
            continue
        field = here.model_fields.get(step) if here is not None else None
        here = None if field is None else _model_in(field.annotation)
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model`, `tuple[Model, ...]` or `Model | None`."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
