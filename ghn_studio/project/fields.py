"""Taking plain JSON data apart, with errors that say where and what to do."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, Union, get_args, get_origin

from ghn_studio.errors import ProjectError

Json = dict[str, Any]


class FieldError(ProjectError):
    """A place in a file does not hold what belongs there; ``finding`` says so without file name and advice."""

    def __init__(self, text: str, finding: str) -> None:
        super().__init__(text)
        self.finding = finding


class Place:
    """A spot in a file, such as ``a.ghn: nodes[3] 'conv1': params.bias``."""

    __slots__ = ("path", "source")

    def __init__(self, source: str, path: str = "") -> None:
        self.source, self.path = source, path

    def __truediv__(self, key: str) -> Place:
        return Place(self.source, f"{self.path}.{key}" if self.path else key)

    def item(self, index: int, name: object = None) -> Place:
        """The place of a list's entry, with the name it gives itself."""
        label = f" {name!r}" if isinstance(name, str) and len(name) <= 80 else ""
        return Place(self.source, f"{self.path}[{index}]{label}")

    def fail(self, expected: str, found: object, hint: str = "Restore the file from a copy or correct it.") -> NoReturn:
        """Raise a :class:`FieldError` about this place."""
        finding = f"{self.path or 'the file'}: expected {expected}, found {shown(found)}"
        raise FieldError(f"{self.source}: {finding}. {hint}", finding)


def shown(value: object) -> str:
    """A short text for any JSON value."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


def decode(hint: Any, value: Any, place: Place) -> Any:
    """Turn JSON data into a value of the annotated type ``hint``, or fail.

    Knows bool, int, float, str and tuples of them. JSON writes ``1.0`` and ``1``
    alike, so whole numbers pass as floats; true and false never pass as numbers.
    """
    if get_origin(hint) is tuple:
        return _decode_tuple(get_args(hint), value, place)
    if get_origin(hint) is Union:
        raise TypeError(f"no rule to store {hint}")
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    words = {bool: "true or false", str: "a text", int: "a whole number", float: "a finite number"}
    if hint not in words:
        raise TypeError(f"no rule to store {hint}")
    return place.fail(words[hint], value)


def _decode_tuple(parts: tuple[Any, ...], value: Any, place: Place) -> tuple[Any, ...]:
    open_ended = len(parts) == 2 and parts[1] is Ellipsis
    if not isinstance(value, list) or (not open_ended and len(value) != len(parts)):
        place.fail("a list" if open_ended else f"a list of {len(parts)}", value)
    hints = [parts[0]] * len(value) if open_ended else parts
    return tuple(decode(h, v, place.item(i)) for i, (h, v) in enumerate(zip(hints, value, strict=True)))


def encode(value: Any) -> Any:
    """The JSON form of a parameter: tuples become lists, the rest stays."""
    return [encode(v) for v in value] if isinstance(value, tuple) else value


def require(data: Json, key: str, hint: Any, place: Place) -> Any:
    """The entry ``key``, of type ``hint``; a tuple type of JSON data is ``list`` or ``dict``."""
    if key not in data:
        place.fail(f"an entry '{key}'", list(data))
    return typed(hint, data[key], place / key)


def typed(hint: Any, value: Any, place: Place) -> Any:
    """Check JSON containers and plain values alike."""
    if hint in (list, dict):
        if not isinstance(value, hint):
            place.fail("a list" if hint is list else "an object", value)
        return value
    return decode(hint, value, place)


def only(data: Json, allowed: frozenset[str], place: Place) -> None:
    """Fail on an entry that this version does not know."""
    for key in data:
        if key not in allowed:
            place.fail(f"only {', '.join(sorted(allowed))}", key, "Remove the entry, or update GHN Studio.")


def parse(text: str, source: str) -> Json:
    """Parse one JSON object; duplicate keys, NaN and deep nesting are refused.

    Raises:
        ProjectError: The text is not such an object; the message has the line.
    """
    place = Place(source)

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        found: Json = {}
        for key, value in pairs:
            if key in found:
                place.fail("every key once", key, "Remove one of the two entries.")
            found[key] = value
        return found

    def no_constant(name: str) -> NoReturn:
        place.fail("finite numbers", name)

    def finite(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else place.fail("finite numbers", number)

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant, parse_float=finite)
        if "\\ud" in text.lower():  # half of a surrogate pair could not be written again
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ProjectError(
            f"{source}: line {error.lineno}, column {error.colno}: this is not JSON ({error.msg}). "
            "The file is damaged or is no GHN Studio project; restore it from a copy."
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number with thousands of digits
        raise ProjectError(f"{source}: this is no GHN Studio project ({error}). Choose another file.") from error
    if not isinstance(data, dict):
        place.fail("an object", data, "Choose a GHN Studio project (.ghn).")
    return data
