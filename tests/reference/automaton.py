"""Two oracles for the automaton, each too simple to be wrong and written independently.

`naive` asks bytes.find for every pattern. `textbook` is Aho and Corasick's paper with
dictionaries, faster where patterns are many.
"""

from collections import deque
from collections.abc import Sequence


def naive(patterns: Sequence[bytes], data: bytes, *, ignore_case: bool = False):
    """All (pattern, start, end), ordered by end, then start, then pattern."""
    if ignore_case:
        data = data.lower()
        patterns = [pattern.lower() for pattern in patterns]
    found = []
    for number, pattern in enumerate(patterns):
        start = data.find(pattern)
        while start >= 0:
            found.append((number, start, start + len(pattern)))
            start = data.find(pattern, start + 1)
    return sorted(found, key=lambda match: (match[2], match[1], match[0]))


class Textbook:
    """Goto, failure and output functions as in Communications of the ACM 18(6), 1975."""

    def __init__(self, patterns: Sequence[bytes], *, ignore_case: bool = False):
        self.ignore_case = ignore_case
        self.patterns = [p.lower() if ignore_case else p for p in patterns]
        self.goto: list[dict[int, int]] = [{}]
        self.output: list[list[int]] = [[]]
        for number, pattern in enumerate(self.patterns):
            state = 0
            for byte in pattern:
                if byte not in self.goto[state]:
                    self.goto[state][byte] = len(self.goto)
                    self.goto.append({})
                    self.output.append([])
                state = self.goto[state][byte]
            self.output[state].append(number)
        self.failure = [0] * len(self.goto)
        queue = deque(self.goto[0].values())
        while queue:
            state = queue.popleft()
            for byte, following in self.goto[state].items():
                queue.append(following)
                back = self.failure[state]
                while back and byte not in self.goto[back]:
                    back = self.failure[back]
                self.failure[following] = self.goto[back].get(byte, 0) if state else 0
                self.output[following] += self.output[self.failure[following]]

    def find_all(self, data: bytes):
        if self.ignore_case:
            data = data.lower()
        state = 0
        found = []
        for place, byte in enumerate(data):
            while state and byte not in self.goto[state]:
                state = self.failure[state]
            state = self.goto[state].get(byte, 0)
            ends = [
                (number, place + 1 - len(self.patterns[number]), place + 1)
                for number in self.output[state]
            ]
            found += sorted(ends, key=lambda match: (match[1], match[0]))
        return found
