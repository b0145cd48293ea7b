"""Policies that are parameters of policies."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from sim import registry

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


@dataclass(frozen=True, slots=True)
class OfKind:
    """Marks a field that holds a policy of a kind: its name, or a mapping with the key `policy`.

    Pydantic calls the method when it builds a schema, after plug-ins have registered theirs. A policy
    that holds others of its own kind names itself in `but`: there is no nesting without end.
    """

    kind: str
    but: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        known = {name: cls for name, cls in registry.classes(self.kind) if name not in self.but}
        plain = [name for name, cls in known.items() if not _required(cls)]
        short = core_schema.no_info_after_validator_function(
            lambda name: known[name](), core_schema.literal_schema(plain)
        )
        full = core_schema.tagged_union_schema(
            {name: handler.generate_schema(cls) for name, cls in known.items()}, registry.tag(self.kind)
        )
        return core_schema.union_schema([short, full])


def _required(cls: type[Any]) -> bool:
    """Whether a policy has a parameter without a default."""
    return any(f.default is MISSING and f.default_factory is MISSING for f in fields(cls))
