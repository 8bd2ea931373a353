"""tocsin hears trouble on a Linux console: console bytes in, incidents out."""

from tocsin._core.automaton import Automaton
from tocsin._core.matches import Matches
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
    "load_rules",
    "scan",
    "scan_file",
]
