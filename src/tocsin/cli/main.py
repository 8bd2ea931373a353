"""The program `tocsin`: arguments in, an exit code out.

Only argparse is imported before the arguments are known: adapters and probes start this program
often, and `--version` must not load rules or the core.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tocsin.cli import adapter, check, maintenance, watch
from tocsin.cli.options import add_filters, colour_option, rule_options
from tocsin.cli.problems import FAILED, complain
from tocsin.cli.terminal import prepare, reserve, silence

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["main"]

SCAN_EPILOG = """\
Exit status: 0 nothing at or above --fail-on, 1 incidents, 2 something could not be read.
Line numbers are left out where they are not known (a pipe read long ago).
"""


def main(argv: Sequence[str] | None = None) -> int:
    reserve()
    prepare(sys.stdout)
    try:
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        silence(sys.stdout)
        return 128 + signal.SIGPIPE
    except OSError as error:  # reading is guarded where it is done; this is the output
        complain(f"cannot write: {error.strerror or error}")
        silence(sys.stdout)
        return FAILED
    return code


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        # By the command's own parser: it knows what its options are, and what a mistake means.
        getattr(arguments, "parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    return int(arguments.run(arguments))


class _Version(argparse.Action):
    """Like argparse's own, but asks for the version only when it is wanted."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from tocsin import __version__

        print(f"tocsin {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin", description="Hears trouble on a Linux console.")
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_scan(commands)
    watch.add(commands, rule_options(), colour_option())
    check.add(commands, rule_options())
    maintenance.add(commands, rule_options())
    adapter.add(commands, rule_options())
    _add_explain(commands)
    _add_rules(commands)
    return parser


def _add_scan(commands: Commands) -> None:
    scan = commands.add_parser(
        "scan",
        help="report the incidents in logs",
        epilog=SCAN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[rule_options(), colour_option()],
    )
    scan.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a log (gzip, bzip2, xz and zstd are unpacked), a directory, or - for standard input",
    )
    scan.add_argument("--format", choices=("text", "jsonl"), default="text")
    add_filters(scan)
    scan.add_argument(
        "--fail-on",
        type=_fail_on,
        default=3,
        metavar="SEVERITY",
        help="exit with 1 for incidents at least this severe (default: err), or never",
    )
    scan.add_argument(
        "--lines",
        type=_lines,
        default=6,
        metavar="N",
        help="lines of the log to show for each incident: a number, all or none (default: 6)",
    )
    scan.add_argument(
        "--source",
        default="(standard input)",
        metavar="NAME",
        help="what to call standard input; the ids of JSON lines are made from it",
    )
    scan.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but what could not be read"
    )
    scan.set_defaults(run=_scan)


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser(
        "explain",
        help="say what a kind or a rule means",
        parents=[rule_options(), colour_option()],
    )
    explain.add_argument("name", metavar="KIND|RULE")
    explain.set_defaults(run=_explain)


def _add_rules(commands: Commands) -> None:
    rules = commands.add_parser("rules", help="list, check or test rules")
    actions = rules.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="a table of the rules", parents=[rule_options()])
    show.add_argument("paths", nargs="*", metavar="PATH", help="rules beside the built-in ones")
    show.add_argument("--format", choices=("text", "jsonl"), default="text")
    show.set_defaults(run=_rules_list)
    verify = actions.add_parser(
        "check", help="say what is wrong with a rule file", parents=[rule_options()]
    )
    verify.add_argument("paths", nargs="+", metavar="PATH")
    verify.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    verify.set_defaults(run=_rules_check)
    test = actions.add_parser(
        "test", help="run the examples and counterexamples", parents=[rule_options()]
    )
    test.add_argument("paths", nargs="*", metavar="PATH", help="rules beside the built-in ones")
    test.add_argument("-q", "--quiet", action="store_true", help="print nothing but failures")
    test.set_defaults(run=_rules_test)


# The commands' modules are imported when they run, and not before.


def _fail_on(word: str) -> int:
    from tocsin.cli.choose import parse_fail_on

    return parse_fail_on(word)


def _lines(word: str) -> int | None:
    if word == "all":
        return None
    if word == "none":
        return 0
    if word.isascii() and word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"{word!r} is not a number, all or none")


def _scan(arguments: argparse.Namespace) -> int:
    from tocsin.cli.scan import run

    return run(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    from tocsin.cli.explain import run

    return run(arguments)


def _rules_list(arguments: argparse.Namespace) -> int:
    from tocsin.cli.rules import show

    return show(arguments)


def _rules_check(arguments: argparse.Namespace) -> int:
    from tocsin.cli.rules import check

    return check(arguments)


def _rules_test(arguments: argparse.Namespace) -> int:
    from tocsin.cli.rules import test

    return test(arguments)


if __name__ == "__main__":
    sys.exit(main())
