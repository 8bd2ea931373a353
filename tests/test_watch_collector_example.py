"""examples/otel-collector against what tocsin writes. A collector of that kind cannot be had by
ci/setup; what its configuration says of our records is checked by what its words mean."""

import json
import re
from pathlib import Path

from tests import peers
from tests.watch_program import Background, append, until
from tocsin.wire import SEVERITIES

EXAMPLES = Path(__file__).parent.parent / "examples"
# What the words of the file receiver's operators mean, by the collector's documentation: the first
# number of each severity, and Go's layouts.
NUMBERS = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
LAYOUT = {"2006-01-02T15:04:05.000000Z07:00": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"}


def test_the_example_fits_what_is_written_for_it(tmp_path):
    yaml = peers.module("yaml")
    config = yaml.safe_load((EXAMPLES / "otel-collector" / "config.yaml").read_text())
    pipeline = config["service"]["pipelines"]["logs"]
    assert set(pipeline["receivers"]) <= set(config["receivers"])
    assert set(pipeline["exporters"]) <= set(config["exporters"])

    records = tmp_path / "tocsin.jsonl"
    log = tmp_path / "a.log"
    append(log, b"")
    program = Background(
        tmp_path / "out", "watch", "--format", "jsonl", "--idle", "0.5", "--output", records, log
    )
    try:
        # An oops that does not end: its trace is as long as one may be.
        append(log, b"BUG: unable to handle page fault for address: ffffffffdeadbeef\n")
        append(log, b"Call Trace:\n" + b" [<ffffffff8027ad3b>] some_function+0x57/0x1ec\n" * 9000)
        append(log, (EXAMPLES / "five-troubles.log").read_bytes())
        until(lambda: len(program.incidents) > 5)
        log.write_bytes(b"")
        until(lambda: program.gaps)
    finally:
        program.kill()
    files = config["receivers"]["filelog"]
    limit = re.fullmatch(r"(\d+)MiB", files["max_log_size"])
    lines = records.read_bytes().splitlines()
    assert 1 << 17 < max(map(len, lines)) < int(limit[1]) << 20
    parse, when, severity, move = files["operators"]
    assert (parse["type"], parse["parse_to"]) == ("json_parser", "attributes.tocsin")
    severities = set()
    for line in lines:
        record = {"attributes": {"tocsin": json.loads(line)}}

        def field(name, record=record):
            for part in name.split("."):
                record = record[part]
            return record

        assert re.fullmatch(LAYOUT[when["layout"]], field(when["parse_from"]))
        word = field(severity["parse_from"])
        [name] = [key for key, value in severity["mapping"].items() if value == word]
        base, more = re.fullmatch(r"([a-z]+)(\d?)", name).groups()
        wire = record["attributes"]["tocsin"]
        assert NUMBERS[base] + int(more or 1) - 1 == wire["severity_number"]
        severities.add(word)
        assert (field(move["from"]), move["to"]) == (wire["body"], "body")
    assert severities >= {"emerg", "crit", "err", "warning"}
    assert set(severity["mapping"].values()) == {word for word, _ in SEVERITIES}
