"""What can go wrong before a log is read. Log content itself never raises."""

from __future__ import annotations


class RuleError(ValueError):
    """A rule file that cannot be used: says which file, which rule, which key, and why.

    Attributes ``file``, ``rule`` (id or None) and ``key`` (or None) hold the parts.
    """

    def __init__(self, file: str, rule: str | None, key: str | None, what: str) -> None:
        self.file, self.rule, self.key, self.what = file, rule, key, what
        parts = [file]
        if rule is not None:
            parts.append(f'rule "{rule}"')
        if key is not None:
            parts.append(key)
        super().__init__(": ".join([*parts, what]))

    def __reduce__(self) -> tuple[type[RuleError], tuple[str, str | None, str | None, str]]:
        return RuleError, (self.file, self.rule, self.key, self.what)
