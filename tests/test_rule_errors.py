"""Every way in which a rule file can be wrong is refused; the message says file, rule and key."""

import pickle

import pytest

import tocsin

RULE = {
    "id": '"t.pipe"',
    "kind": '"hardware.device"',
    "severity": '"err"',
    "title": '"Pipe {pipe} burst"',
    "meaning": '"m"',
    "advice": '["a"]',
}
START = {"literal": '["pipe burst: "]', "match": "'pipe burst: (?P<pipe>\\w+)'"}
EXAMPLES = '[[rule.example]]\nlog = "pipe burst: x"\n[[rule.counterexample]]\nlog = "no"\n'
NOISE = {"id": '"t.drip"', "noise": "true", "reason": '"drips"'}
CONSOLE = {"state": '"up"', "literal": '["house is open"]'}


def table(head, rows):
    lines = [f"{key} = {value}" for key, value in rows.items() if value is not None]
    return "\n".join([head, *lines, ""])


def rule(more="", start=None, examples=EXAMPLES, **changes):
    """A right rule with some keys changed; None takes a key away."""
    text = "schema = 1\n" + table("[[rule]]", {**RULE, **changes})
    return text + table("[rule.start]", {**START, **(start or {})}) + more + examples


def noise(more="", **changes):
    text = "schema = 1\n" + table("[[rule]]", {**NOISE, **changes})
    return text + '[rule.start]\nliteral = ["drip"]\n' + more + EXAMPLES


def console(**changes):
    return "schema = 1\n" + table("[[console]]", {**CONSOLE, **changes})


def load(tmp_path, text, name="house.toml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tocsin.load_rules(path, builtin=False)


def test_the_right_ones_are_taken(tmp_path):
    assert load(tmp_path, rule())["t.pipe"].kind == "hardware.device"
    assert load(tmp_path, noise())["t.drip"].noise
    assert len(load(tmp_path, console())) == 0


PIPE = 'rule "t.pipe"'
# name: (file text, rule part of the message, key, a piece of what is said)
BAD = {
    "not TOML": ("schema = = 1", None, None, "not TOML: "),
    "not UTF-8": (b'schema = 1\nx = "\xff"\n', None, None, "not UTF-8: "),
    "no schema": ("", None, "schema", "expected 1, got None"),
    "another schema": ("schema = 2", None, "schema", "expected 1, got 2"),
    "unknown top key": ("schema = 1\nrules = []", None, "rules", "unknown key; expected schema"),
    "rule is a table": ("schema = 1\n[rule]\nid = 1", None, "rule", "a list of tables: [[rule]]"),
    "rule is a list of numbers": ("schema = 1\nrule = [1]", None, "rule", "a list of tables"),
    "console is a table": ("schema = 1\n[console]", None, "console", "list of tables: [[console]]"),
    "no id": (rule(id=None), None, "id", "lower-case words joined by dots and dashes, got None"),
    "id is a number": (rule(id="7"), 'rule "7"', "id", "lower-case words"),
    "id with capitals": (rule(id='"T.Pipe"'), 'rule "T.Pipe"', "id", "lower-case words"),
    "id ends in a dot": (rule(id='"t.pipe."'), 'rule "t.pipe."', "id", "lower-case words"),
    "unknown key": (rule(titel='"x"'), PIPE, "titel", "unknown key; expected one of absorbs, "),
    "title is a number": (rule(title="3"), PIPE, "title", "expected a string or a list of strings"),
    "kind is a list": (rule(kind='["a"]'), PIPE, "kind", "expected a string, got ['a']"),
    "advice is text": (rule(advice='"a"'), PIPE, "advice", "expected a list of strings, got 'a'"),
    "rank is a bool": (rule(rank="true"), PIPE, "rank", "expected a whole number, got True"),
    "rank is a fraction": (rule(rank="1.5"), PIPE, "rank", "expected a whole number, got 1.5"),
    "noise is text": (noise(noise='"yes"'), 'rule "t.drip"', "noise", "expected true or false"),
    "start is text": (
        "schema = 1\n" + table("[[rule]]", {**RULE, "start": '"x"'}) + EXAMPLES,
        PIPE, "start", "expected a table, got 'x'",
    ),
    "no start": (
        "schema = 1\n" + table("[[rule]]", RULE) + EXAMPLES, PIPE, "start",
        "missing: a rule needs literals that begin it",
    ),
    "unknown key of start": (rule(start={"literals": '["x"]'}), PIPE, "start.literals", "unknown"),
    "start.also is a number": (
        rule(start={"also": "1"}), PIPE, "start.also", "expected a string or a list",
    ),
    "anchor": (
        rule(start={"anchor": '"begin"'}), PIPE, "start.anchor",
        "expected one of any, body, word, head, end, level, got 'begin'",
    ),
    "prompt anchor": (rule(start={"anchor": '"prompt"'}), PIPE, "start.anchor", "got 'prompt'"),
    "no literal": (
        rule(start={"literal": None}), PIPE, "start.literal", "missing: expected at least",
    ),
    "empty list of literals": (rule(start={"literal": "[]"}), PIPE, "start.literal", "missing"),
    "a literal with a line end": (
        rule(start={"literal": '["pipe\\nburst"]'}), PIPE, "start.literal", "holds a line end",
    ),
    "a literal with a carriage return": (
        rule(start={"literal": '["pipe\\r"]'}), PIPE, "start.literal", "holds a line end",
    ),
    "a literal of three bytes": (
        rule(start={"literal": '["abc"]'}), PIPE, "start.literal",
        "'abc' has 3 bytes: too short to be rare, expected at least 4 or anchor = \"body\"",
    ),
    "an empty literal": (
        rule(start={"literal": '[""]', "anchor": '"body"'}), PIPE, "start.literal", "is empty",
    ),
    "end without literal": (rule("[rule.end]\nanchor = 'any'\n"), PIPE, "end.literal", "missing"),
    "end with a short literal": (
        rule('[rule.end]\nliteral = "abc"\n'), PIPE, "end.literal", "too short to be rare",
    ),
    "continue with an empty literal": (
        rule('[rule.continue]\nliteral = ""\n'), PIPE, "continue.literal", "is empty",
    ),
    "continue with a line end in a literal": (
        rule('[rule.continue]\nliteral = "some\\nthing"\n'), PIPE, "continue.literal", "line end",
    ),
    "continue with a short literal": (
        rule('[rule.continue]\nliteral = "ab"\n'), PIPE, "continue.literal", "too short to be rare",
    ),
    "continue.lines is text": (
        rule('[rule.continue]\nlines = "4"\n'), PIPE, "continue.lines", "expected a whole number",
    ),
    "continue.lines is negative": (
        rule("[rule.continue]\nlines = -1\n"), PIPE, "continue.lines", "expected 1 to ",
    ),
    "continue.lines is vast": (
        rule("[rule.continue]\nlines = 5000000000\n"), PIPE, "continue.lines", "expected 1 to ",
    ),
    "continue.seconds is text": (
        rule('[rule.continue]\nseconds = "4"\n'), PIPE, "continue.seconds", "expected a number",
    ),
    "continue.seconds is negative": (
        rule("[rule.continue]\nseconds = -0.5\n"), PIPE, "continue.seconds", "expected 0 or more",
    ),
    "continue.seconds is no number": (
        rule("[rule.continue]\nseconds = nan\n"), PIPE, "continue.seconds", "expected 0 or more",
    ),
    "rank is vast": (rule(rank="600000"), PIPE, "rank", "expected -1000 to 1000"),
    "no shape of that name": (
        rule('[rule.continue]\nshapes = ["frane"]\n'), PIPE, "continue.shapes", 'no shape "frane"',
    ),
    "no group of that name": (
        rule('[rule.continue]\nshapes = ["@opps"]\n'), PIPE, "continue.shapes", 'no group "opps"',
    ),
    "fold with an unknown key": (rule('[rule.fold]\nby = "x"\n'), PIPE, "fold.by", "unknown key"),
    "extract is a table": (
        rule('[rule.extract]\nliteral = "x"\n'), PIPE, "extract",
        "list of tables: [[rule.extract]]",
    ),
    "extract without literal": (
        rule("[[rule.extract]]\nmatch = '(?P<a>x)'\n"), PIPE, "extract[0].literal", "missing",
    ),
    "extract without match": (
        rule('[[rule.extract]]\nliteral = "abcd"\n'), PIPE, "extract[0].match", "missing",
    ),
    "extract with an empty literal": (
        rule("[[rule.extract]]\nliteral = ''\nmatch = '(?P<a>x)'\n"), PIPE, "extract[0].literal",
        "is empty",
    ),
    "extract with a line end in a literal": (
        rule("[[rule.extract]]\nliteral = \"\\nab\"\nmatch = '(?P<a>x)'\n"), PIPE,
        "extract[0].literal", "line end",
    ),
    "the second extract": (
        rule(
            "[[rule.extract]]\nliteral = 'ab'\nmatch = '(?P<a>x)'\n"
            "[[rule.extract]]\nliteral = 'ab'\nmatch = '(?P<a>'\n"
        ),
        PIPE, "extract[1].match", "'(?P<a>': ",
    ),
    "variant without literal": (
        rule('[[rule.variant]]\nkind = "x.y"\n'), PIPE, "variant[0].literal", "missing",
    ),
    "variant with an empty literal": (
        rule("[[rule.variant]]\nliteral = ['abc', '']\n"), PIPE, "variant[0].literal", "is empty",
    ),
    "variant of an odd severity": (
        rule("[[rule.variant]]\nliteral = 'abc'\nseverity = 'bad'\n"), PIPE,
        "variant[0].severity", "expected one of emerg, ",
    ),
    "variant with an unknown key": (
        rule("[[rule.variant]]\nliteral = 'abc'\nlane = 'x'\n"), PIPE, "variant[0].lane", "unknown",
    ),
    "variant blames nobody known": (
        rule("[[rule.variant]]\nliteral = 'abc'\nblame = 'me'\n"), PIPE, "variant[0].blame",
        'no profile "me" in blame.toml',
    ),
    "variant signs with nothing": (
        rule("[[rule.variant]]\nliteral = 'abc'\nsignature = ['pip']\n"), PIPE,
        "variant[0].signature", 'names "pip", but no group',
    ),
    "example with an unknown key": (
        rule(examples='[[rule.example]]\nlogs = "x"\n'), PIPE, "example[0].logs", "unknown key",
    ),
    "example without log": (
        rule(examples='[[rule.example]]\ntitle = "x"\n[[rule.counterexample]]\nlog = "x"\n'), PIPE,
        "example[0].log", "missing",
    ),
    "counterexample with a count": (
        rule(examples=EXAMPLES + "count = 1\n"), PIPE, "counterexample[0].count", "unknown key",
    ),
    "fields is text": (
        rule(examples='[[rule.example]]\nlog = "x"\nfields = "x"\n'), PIPE, "example[0].fields",
        "expected a table, got 'x'",
    ),
    "no example": (
        rule(examples='[[rule.counterexample]]\nlog = "x"\n'), PIPE, "example",
        "missing: every rule needs an example",
    ),
    "no counterexample": (
        rule(examples='[[rule.example]]\nlog = "x"\n'), PIPE, "counterexample",
        "missing: every rule needs a counterexample",
    ),
    "origin": (
        rule(origin='"host"'), PIPE, "origin",
        "expected one of kernel, printk, user, any, got 'host'",
    ),
    "severity": (
        rule(severity='"error"'), PIPE, "severity", "expected one of emerg, alert, crit, err",
    ),
    **{
        f"no {key}": (rule(**{key: None}), PIPE, key, "missing")
        for key in ("kind", "severity", "title", "meaning", "advice")
    },
    "no title in the list": (rule(title="[]"), PIPE, "title", "at least one title"),
    "an empty title": (rule(title='["a", ""]'), PIPE, "title", "none of them empty"),
    "variant with an empty title": (
        rule("[[rule.variant]]\nliteral = 'abc'\ntitle = ''\n"), PIPE, "variant[0].title",
        "none of them empty",
    ),
    "kind with a blank": (
        rule(kind='"big trouble"'), PIPE, "kind", "joined by dots and dashes, got 'big trouble'",
    ),
    "variant of an odd kind": (
        rule("[[rule.variant]]\nliteral = 'abc'\nkind = 'X'\n"), PIPE, "variant[0].kind", "got 'X'",
    ),
    "an empty text in also": (rule(start={"also": "''"}), PIPE, "start.also", "is empty"),
    "a line end in not": (rule(start={"not": '"a\\n"'}), PIPE, "start.not", "line end"),
    "title with a stray brace": (
        rule(title='"Pipe {pipe"'), PIPE, "title", "write {{ and }} for braces",
    ),
    "title of an unknown field": (
        rule(title='"Pipe {pip}"'), PIPE, "title", 'uses "pip", but no group of that name',
    ),
    "title with an unnamed field": (rule(title='"Pipe {}"'), PIPE, "title", 'uses ""'),
    "advice of an unknown field": (rule(advice='["{pip}"]'), PIPE, "advice", 'uses "pip"'),
    "variant title of an unknown field": (
        rule("[[rule.variant]]\nliteral = 'abc'\ntitle = '{pip}'\n"), PIPE, "variant[0].title",
        'uses "pip"',
    ),
    "variant advice of an unknown field": (
        rule("[[rule.variant]]\nliteral = 'abc'\nadvice = ['{pip}']\n"), PIPE, "variant[0].advice",
        'uses "pip"',
    ),
    "signature of an unknown field": (
        rule(signature='["pip"]'), PIPE, "signature", 'names "pip", but no group of that name',
    ),
    "requires an unknown field": (rule(requires='["pip"]'), PIPE, "requires", 'names "pip"'),
    "match does not compile": (
        rule(start={"match": "'(?P<pipe>[a-'"}), PIPE, "start.match", "unterminated character set",
    ),
    "match with an unnamed group": (
        rule(start={"match": "'(?P<pipe>a)(b)'"}), PIPE, "start.match", "only named groups fill",
    ),
    "match that can take for ever": (
        rule(start={"match": "'(?P<pipe>(?:a+)+)b'"}), PIPE, "start.match", "can take for ever",
    ),
    "match that can take for ever, starred": (
        rule(start={"match": r"'(?P<pipe>(?:\w*)*)!'"}), PIPE, "start.match", "can take for ever",
    ),
    "noise without reason": (
        noise(reason=None), 'rule "t.drip"', "reason", "missing: a noise row says why",
    ),
    "noise with a title": (
        noise(title='"x"'), 'rule "t.drip"', "title", "does not go with noise = true",
    ),
    **{
        f"noise with {part}": (
            noise(f"[rule.{part}]\n" + body), 'rule "t.drip"', part,
            "does not go with noise = true",
        )
        for part, body in (
            ("continue", "lines = 3\n"), ("end", "literal = 'abcd'\n"), ("fold", "after = 'x'\n"),
        )
    },
    "provisional without continue": (
        rule(provisional="true"), PIPE, "provisional", "needs [rule.continue]",
    ),
    "the same id twice": (
        rule() + rule().removeprefix("schema = 1\n"), PIPE, "id", "house.toml already",
    ),
    "absorbs nobody": (rule(absorbs='["t.drop"]'), PIPE, "absorbs", 'no rule "t.drop"'),
    "absorbs an empty family": (rule(absorbs='["x.*"]'), PIPE, "absorbs", 'no rule "x.*"'),
    "mutes nobody": (
        "schema = 1\n" + table("[[rule]]", NOISE)
        + '[rule.start]\nliteral = ["drip"]\nmutes = ["t.x"]\n' + EXAMPLES,
        'rule "t.drip"', "start.mutes", 'no rule "t.x"',
    ),
    "blames nobody known": (
        rule(blame='"me"'), PIPE, "blame", 'no profile "me" in blame.toml',
    ),
    "console with an unknown key": (
        console(states='"up"'), "console ['house is open']", "states",
        "unknown key; expected state",
    ),
    "console key of another type": (
        console(new_boot='"yes"'), "console ['house is open']", "new_boot",
        "expected true or false",
    ),
    "console state": (
        console(state='"open"'), "console ['house is open']", "state", "expected one of unknown",
    ),
    "console without state": (
        console(state=None), "console ['house is open']", "state", "expected",
    ),
    "console without literal": (console(literal=None), "console None", "literal", "missing"),
    "console with an empty literal": (
        console(literal='[""]'), "console ['']", "literal", "is empty",
    ),
    "console anchor": (
        console(anchor='"top"'), "console ['house is open']", "anchor", "expected one of any, body",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_file_rule_and_key(tmp_path, name):
    text, row, key, what = BAD[name]
    with pytest.raises(tocsin.RuleError) as caught:
        load(tmp_path, text)
    error = caught.value
    file = str(tmp_path / "house.toml")
    assert error.file == file
    assert error.key == key
    message = str(error)
    head = f"{file}: " + (f"{row}: " if row and row.startswith("rule") else "")
    if row and not row.startswith("rule"):
        assert error.rule == row
        head += f'rule "{row}": '
    assert message.startswith(head + (f"{key}: " if key else "")), message
    assert what in message, message
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.rule, copy.key) == (message, error.file, error.rule, key)


def test_a_rule_error_is_a_value_error():
    assert issubclass(tocsin.RuleError, ValueError)


def test_an_unreadable_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        tocsin.load_rules(tmp_path / "none.toml")


def test_a_directory_without_rules_is_refused(tmp_path):
    with pytest.raises(tocsin.RuleError, match=r"no \*\.toml file in this directory"):
        tocsin.load_rules(tmp_path)


def test_two_files_of_a_directory_may_not_share_an_id(tmp_path):
    (tmp_path / "a.toml").write_text(rule())
    (tmp_path / "b.toml").write_text(rule())
    with pytest.raises(tocsin.RuleError) as caught:
        tocsin.load_rules(tmp_path, builtin=False)
    there, here = tmp_path / "a.toml", tmp_path / "b.toml"
    assert str(caught.value) == f'{here}: rule "t.pipe": id: stands in {there} already'


def test_a_later_file_replaces_a_rule(tmp_path):
    (tmp_path / "a.toml").write_text(rule())
    (tmp_path / "b.toml").write_text(rule(severity='"crit"'))
    rules = tocsin.load_rules(tmp_path / "a.toml", tmp_path / "b.toml", builtin=False)
    assert [r.severity for r in rules] == ["crit"]


def test_a_user_rule_stands_beside_the_builtin_ones(tmp_path, builtin):
    path = tmp_path / "mine.toml"
    path.write_text(rule())
    both = tocsin.load_rules(path)
    assert len(both) == len(builtin) + 1
    assert [i.title for i in tocsin.scan(b"pipe burst: attic\n", both)] == ["Pipe attic burst"]
    assert tocsin.scan(b"pipe burst: attic\n") == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<pipe>(?:a+b)+)c",
        r"(?P<pipe>(?:[0-9]{1,3}\.){3}\d+)",
        r"(?:x+|yy)(?P<pipe>z*)",
        r"(?P<pipe>(?:\w+,)*\w+)",
    ],
)
def test_harmless_repeats_are_taken(tmp_path, pattern):
    assert len(load(tmp_path, rule(start={"match": f"'{pattern}'"}))) == 1
