"""Options that several commands have, and the words that options take."""

from __future__ import annotations

import argparse
import re

__all__ = [
    "add_filters", "colour_option", "count", "duration", "rule_options", "seconds",
    "seconds_or_none", "severity",
]  # fmt: skip

INFO = 6  # tocsin.Severity.INFO, which every start of the program would pay for
LONGEST = 100 * 366 * 86400.0  # seconds; a clock has no room for much more
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def rule_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--rules",
        action="append",
        default=[],
        metavar="PATH",
        help="rules beside the built-in ones: a file or a directory; may be repeated",
    )
    options.add_argument("--no-builtin", action="store_true", help="without the built-in rules")
    return options


def colour_option() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    return options


def add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-severity",
        type=severity,
        default=INFO,
        metavar="SEVERITY",
        help="leave out what is less severe: emerg alert crit err warning notice info debug "
        "(default: info; debug is what healthy machines say)",
    )
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="KIND",
        help="only kinds that begin so or match this glob; may be repeated",
    )


def severity(word: str) -> int:
    # Imported when a word is there: every start of the program would pay for it.
    from tocsin.cli.choose import parse_severity

    return parse_severity(word)


def duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90s, 10m, 1h or 2d")
    length = float(match[1]) * UNITS[match[2]]
    if length > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is too long; expected at most 100 years")
    return length


def seconds(text: str) -> float:
    """Above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return value


def seconds_or_none(text: str) -> float:
    """0 or more."""
    return 0.0 if text == "0" else seconds(text)


def count(text: str) -> int:
    """At least 1."""
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0 and len(text) < 18):
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)
