"""Policies by kind and name: one decorated dataclass is configuration, schema, help and behaviour.

    @policy("router", "least-load")
    class LeastLoad:
        '''Send each request to the replica with the fewest requests outstanding.'''
        choices: int = 0

`router: least-load` and `router: {policy: least-load, choices: 2}` then both work in a scenario.
Constructors only store; state is acquired in `start(...)`, and every run works on copies.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar, dataclass_transform

from sim.errors import UsageError, did_you_mean

T = TypeVar("T")

#: Key that names the variant in a scenario file; every other kind uses "policy".
TAGS = {"distribution": "dist", "arrivals": "process"}

#: Modules and packages that hold every policy that ships with Stratus: a new file in one of the
#: packages is found without being named anywhere.
BUILTIN = (
    "sim.kernel.distributions",
    "sim.paas.policies",
    "sim.saas.policies",
)

_registry: dict[str, dict[str, type[Any]]] = {}


def tag(kind: str) -> str:
    """The key that selects a policy of this kind in a scenario file."""
    return TAGS.get(kind, "policy")


@dataclass_transform()
def policy(kind: str, name: str) -> Callable[[type[T]], type[T]]:
    """Register a class as policy `name` of `kind` and make it a dataclass.

    The tag (`policy: <name>`) becomes its last field, so that a scenario's union of policies
    tells its members apart. Registering a name twice is an error.
    """

    def register(cls: type[T]) -> type[T]:
        key = tag(kind)
        annotations = inspect.get_annotations(cls)
        annotations[key] = Literal[name]
        cls.__annotations__ = annotations
        setattr(cls, key, name)
        cls.__pydantic_config__ = {"extra": "forbid", "strict": True}  # type: ignore[attr-defined]
        made: type[T] = dataclasses.dataclass(cls)
        if not made.__doc__ or made.__doc__.startswith(f"{made.__name__}("):
            raise TypeError(f"{kind} policy {name!r} needs a docstring: it is the help text")
        known = _registry.setdefault(kind, {})
        if name in known and known[name].__qualname__ != made.__qualname__:
            raise ValueError(f"{kind} policy {name!r} is registered twice")
        known[name] = made
        return made

    return register


def load_builtin() -> None:
    """Import every module that registers policies of Stratus, and installed plug-ins."""
    for name in BUILTIN:
        found = importlib.import_module(name)
        for module in pkgutil.walk_packages(getattr(found, "__path__", ()), f"{name}."):
            importlib.import_module(module.name)
    for point in entry_points(group="stratus.policies"):
        point.load()


def load_file(path: Path) -> str:
    """Import a user's own policies from a Python file (`--plugin FILE`); the name of its module."""
    if not path.is_file():
        raise UsageError(f"--plugin {path}: no such file")
    # Two files of one name are two plug-ins.
    name = f"stratus_plugin_{path.stem}_{blake2b(bytes(path.resolve()), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return name


def kinds() -> list[str]:
    """Every kind that has at least one policy."""
    return sorted(_registry)


def names(kind: str) -> list[str]:
    """Names of the policies of a kind."""
    return sorted(_registry.get(kind, {}))


def classes(kind: str) -> Iterator[tuple[str, type[Any]]]:
    """(name, class) of the policies of a kind, by name."""
    yield from sorted(_registry.get(kind, {}).items())


def lookup(kind: str, name: str) -> type[Any]:
    """The class of a policy.

    Raises:
        UsageError: no such policy; the message names the nearest one.
    """
    known = _registry.get(kind, {})
    if name not in known:
        raise UsageError(f"unknown {kind} {name!r}{did_you_mean(name, known)}")
    return known[name]


def fresh(configured: T) -> T:
    """A copy for one run, so that state acquired in it never leaks into the next."""
    return copy.deepcopy(configured)


def start(configured: Any, *context: Any) -> None:
    """Let a policy acquire its state for one run, if it has any."""
    begin = getattr(configured, "start", None)
    if begin is not None:
        begin(*context)
