"""Reading a page as a browser would: elements, text, tables; every mistake in the nesting is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br"}


@dataclass
class Table:
    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    values: list[list[float | None]] = field(default_factory=list)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[Table] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
            self.tables[-1].values.append([])
        elif tag in {"td", "th"}:
            self.tables[-1].rows[-1].append("")
            self.tables[-1].values[-1].append(None)
        elif tag == "data" and "td" in self.open:
            self.tables[-1].values[-1][-1] = float(dict(attrs)["value"])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "caption" in self.open:
            self.tables[-1].caption += data
        elif self.open and {"td", "th"} & set(self.open):
            self.tables[-1].rows[-1][-1] += data

    def table(self, begins: str) -> Table:
        return next(table for table in self.tables if table.caption.startswith(begins))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]
