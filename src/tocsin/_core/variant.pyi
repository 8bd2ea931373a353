from typing import Final

KNOWN: Final[tuple[str, ...]]

def usable_variants() -> tuple[str, ...]: ...
