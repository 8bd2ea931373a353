from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# (role, rule, anchor, also, not, weight): what one literal means to one rule.
_Entry: TypeAlias = tuple[int, int, int, Sequence[bytes], Sequence[bytes], int]

def waking_literals(entries: Sequence[Sequence[_Entry]]) -> int: ...

class Program:
    def __new__(
        cls,
        literals: Sequence[bytes],
        entries: Sequence[Sequence[_Entry]],
        rules: Sequence[Mapping[str, Any]],
        consoles: Sequence[tuple[int, bool]],
        shapes: Sequence[tuple[str, Sequence[str]]],
        fingerprint: bytes,
        plans: Sequence[bytes] = (),
        waking_plans: Sequence[bytes] = (),
    ) -> Program: ...
    @property
    def rule_count(self) -> int: ...
    @property
    def fingerprint(self) -> bytes: ...
    @property
    def literals(self) -> tuple[bytes, ...]: ...
