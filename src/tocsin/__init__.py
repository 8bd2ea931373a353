"""tocsin hears trouble on a Linux console: console bytes in, incidents out."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin._core.automaton import Automaton
    from tocsin._core.matches import Matches
    from tocsin.capi import get_include
    from tocsin.errors import RuleError
    from tocsin.incident import ConsoleState, EndReason, Frame, Incident, Severity
    from tocsin.limits import Limits
    from tocsin.rules.loader import Ruleset, load_rules
    from tocsin.scanner import Scanner, scan, scan_file

__version__ = "0.1.0"

__all__ = [
    "Automaton",
    "ConsoleState",
    "EndReason",
    "Frame",
    "Incident",
    "Limits",
    "Matches",
    "RuleError",
    "Ruleset",
    "Scanner",
    "Severity",
    "get_include",
    "load_rules",
    "scan",
    "scan_file",
]

# Each name is imported when first used: `tocsin --version` and programs that need one part start
# without the others.
_HOME = {
    "Automaton": "tocsin._core.automaton",
    "ConsoleState": "tocsin.incident",
    "EndReason": "tocsin.incident",
    "Frame": "tocsin.incident",
    "Incident": "tocsin.incident",
    "Limits": "tocsin.limits",
    "Matches": "tocsin._core.matches",
    "RuleError": "tocsin.errors",
    "Ruleset": "tocsin.rules.loader",
    "Scanner": "tocsin.scanner",
    "Severity": "tocsin.incident",
    "get_include": "tocsin.capi",
    "load_rules": "tocsin.rules.loader",
    "scan": "tocsin.scanner",
    "scan_file": "tocsin.scanner",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'tocsin' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
