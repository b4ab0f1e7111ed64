"""Carries in attributes what TopDL has no element for, so that a topology is the same after writing and reading.

An attribute `benito:model.FIELD` holds a field of the model as JSON: on a computer one of its `Node`, on an interface
of its `Member`, on a substrate of its `Lan`, on the experiment of the `Topology`. It counts more than what the
elements say. Fields that have their default value are left out.
"""

import dataclasses
import json
import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from benito.model import Queue, Shaping
from benito.topology.quantities import Rejection

PREFIX = "benito:model."

_MOST_TEXT_BYTES = 32768
_MOST_NUMBER = 2**53
_MOST_RATE_KBPS = 10**9
_MOST_DELAY_US = 3_600_000_000
_MOST_QUEUE = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of the model: its default, and its type as pydantic reads and writes it."""

    default: object
    adapter: TypeAdapter[Any]


_FIELDS: dict[type, Mapping[str, Field]] = {}


def _fields_of(kind: type) -> Mapping[str, Field]:
    """The fields of one of the model's classes that have a default, by name."""
    if kind in _FIELDS:
        return _FIELDS[kind]
    types = get_type_hints(kind)
    _FIELDS[kind] = {
        field.name: Field(default=field.default, adapter=TypeAdapter(types[field.name]))
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING
    }
    return _FIELDS[kind]


def field_of(thing: object, name: str) -> Field:
    """One of the fields of an object of the model."""
    return _fields_of(thing.__class__)[name]


def pack(thing: object, said: Container[str]) -> Iterator[tuple[str, str]]:
    """The fields that are not said otherwise and do not have their default value, as attributes."""
    for name, field in _fields_of(thing.__class__).items():
        value = getattr(thing, name)
        if name not in said and value != field.default:
            yield PREFIX + name, pack_value(field.adapter, value)


def pack_value(adapter: TypeAdapter[Any], value: object) -> str:
    """One value as JSON in ASCII: XML has no control characters, JSON writes them as it writes all others."""
    return json.dumps(adapter.dump_python(_placeless(value), mode="json", exclude_defaults=True))


def _placeless(value: object) -> object:
    """Lines belong to the file that was read."""
    if isinstance(value, tuple):
        return tuple(_placeless(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and hasattr(value, "line"):
        return dataclasses.replace(value, line=None)
    return value


def unpack(kind: type, name: str, text: str) -> object:
    """The value of a field. Raises Rejection where there is no such field or the text is no sane value of it."""
    field = _fields_of(kind).get(name)
    if field is None:
        raise Rejection(f"the model has no field {name[:40]!r}.", "is it from a newer version?")
    return unpack_value(field.adapter, text)


def unpack_value(adapter: TypeAdapter[Any], text: str) -> object:
    """A value that `pack_value` wrote. Raises Rejection."""
    try:
        value: object = adapter.validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise Rejection(f"not what the model has there: {problem['msg'][:200]}.") from error
    if not _is_all_of(json.loads(text), adapter.dump_python(value, mode="json")):
        raise Rejection("it says more than the model has.", "is it from a newer version?")
    _check(value)
    return value


def _is_all_of(given: object, known: object) -> bool:
    """Whether no name in `given` was passed over."""
    if isinstance(given, dict) and isinstance(known, dict):
        return all(name in known and _is_all_of(part, known[name]) for name, part in given.items())
    if isinstance(given, list) and isinstance(known, list):
        return len(given) == len(known) and all(map(_is_all_of, given, known))
    return not isinstance(given, (dict, list))


def _check(value: object) -> None:
    """Raises Rejection for what no reader would have let in."""
    match value:
        case str():
            if len(value.encode("utf-8", "replace")) > _MOST_TEXT_BYTES:
                raise Rejection(f"a text is longer than {_MOST_TEXT_BYTES >> 10} KiB.")
            if "\0" in value:
                raise Rejection("a text holds a NUL.")
        case float() if not math.isfinite(value) or abs(value) > _MOST_NUMBER:
            raise Rejection("a number is too large.")
        case int() if abs(value) > _MOST_NUMBER:
            raise Rejection("a number is too large.")
        case tuple():
            for part in value:
                _check(part)
        case _ if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                _check(getattr(value, field.name))
    if isinstance(value, Shaping):
        _check_shaping(value)
    if isinstance(value, Queue):
        _within(0, _MOST_QUEUE, value.limit, value.min_threshold, value.max_threshold, value.linterm)
        _within(0, 1, value.weight)


def _check_shaping(value: Shaping) -> None:
    _within(1, _MOST_RATE_KBPS, *([] if value.rate_kbps is None else [value.rate_kbps]))
    _within(0, _MOST_DELAY_US, value.delay_us)
    _within(0, 1, value.loss_ratio)
    _within(1, _MOST_QUEUE, *([] if value.queue_packets is None else [value.queue_packets]))


def _within(least: float, most: float, *numbers: float) -> None:
    for number in numbers:
        if not least <= number <= most:
            raise Rejection(f"{number:g} is not from {least:g} to {most:g}.")
