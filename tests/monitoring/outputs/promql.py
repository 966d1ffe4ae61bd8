"""A strict reader of the part of PromQL that our dashboards speak: it fails where Prometheus' own would, and names the metrics.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/.
"""

import re

TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<range>\[[^\]]*\])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z_:][\w:]*)"""
    r"""|(?P<sign>=~|!~|!=|>=|<=|==|[-+*/%^(){},=<>])|(?P<span>\d+[smhdw]))"""
)
RANGE = re.compile(r"\[(\$__rate_interval|\d+[smhdw])\]")
AGGREGATES = {"sum", "max", "min", "avg", "count", "topk", "bottomk"}
FUNCTIONS = {"rate", "increase", "histogram_quantile", "vector", "time", "label_values"}
OF_RANGES = {"rate", "increase"}
SETS = {"or", "and", "unless"}


class Reader:
    """Reads one expression."""

    def __init__(self, text: str) -> None:
        self.metrics: set[str] = set()
        self.labels: dict[str, set[str]] = {}
        self.tokens: list[tuple[str, str]] = []
        place, text = 0, text.strip()
        while place < len(text):
            found = re.compile(r"\s*(\d+[smhdw])\b").match(text, place) or TOKEN.match(text, place)
            assert found, f"not PromQL: {text[place:]!r}"
            kind = found.lastgroup or "span"
            self.tokens.append((kind, found[0].strip()))
            place = found.end()
        self.at = 0

    def read(self) -> "Reader":
        self.binary()
        assert self.at == len(self.tokens), f"more follows: {self.tokens[self.at :]}"
        return self

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        assert self.at < len(self.tokens), f"{wanted or 'more'} is missing"
        text = self.tokens[self.at][1]
        assert not wanted or text == wanted, f"{wanted} wanted, found {text}"
        self.at += 1
        return text

    def binary(self) -> None:
        self.one()
        while self.peek() in SETS | set("+-*/%^") | {">", "<", "==", "!=", ">=", "<="}:
            self.take()
            self.one()

    def one(self) -> None:
        kind, text = self.tokens[self.at]
        if text == "(":
            self.take()
            self.binary()
            self.take(")")
        elif kind == "number":
            self.take()
        elif text in AGGREGATES:
            self.aggregate()
        elif text in FUNCTIONS and self.tokens[self.at + 1][1] == "(":
            self.call()
        else:
            assert kind == "name", f"a metric wanted, found {text}"
            self.selector(ranged=False)

    def aggregate(self) -> None:
        name = self.take()
        self.grouping()
        self.take("(")
        if name in ("topk", "bottomk"):
            self.one()
            self.take(",")
        self.binary()
        self.take(")")
        self.grouping()

    def grouping(self) -> None:
        if self.peek() in ("by", "without"):
            self.take()
            self.take("(")
            while self.take() and self.peek() == ",":
                self.take()
            self.take(")")

    def call(self) -> None:
        name = self.take()
        self.take("(")
        if name in OF_RANGES:
            self.selector(ranged=True)
        elif self.peek() != ")":
            self.binary()
            while self.peek() == ",":
                self.take()
                self.binary()
        self.take(")")

    def selector(self, *, ranged: bool) -> None:
        metric = self.take()
        self.metrics.add(metric)
        if self.peek() == "{":
            self.take()
            while self.peek() != "}":
                self.labels.setdefault(metric, set()).add(self.take())
                assert self.take() in ("=", "!=", "=~", "!~")
                assert self.take().startswith('"')
                if self.peek() == ",":
                    self.take()
            self.take("}")
        if ranged:
            assert RANGE.fullmatch(self.take()), "a range wanted"
        if self.peek() == "offset":
            self.take()
            assert re.fullmatch(r"\d+[smhdw]", self.take())
