"""What an evaluation hands back: figures per item and part, means, remarks; as text and as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wheatstone.files import write_bytes

__all__ = ["Column", "Report", "Row", "arrow"]


@dataclass(frozen=True)
class Column:
    """How to show one figure.

    Attributes:
        figure: its name in `Row.figures`.
        label: heading.
        better: `"low"`, `"high"`, or `""` when neither is better (a ratio whose best value is 1, a share).
        percent: show a share 0..1 as percent.
        digits: decimals.
        per_item: also in the table of items, not only in the table of means.
        repeatable: the same in every run; times are not, so the tables for documentation leave them out.
        group: which table of means it stands in, by its title; the first one needs none. A table without figures is left out.
    """

    figure: str
    label: str
    better: str = ""
    percent: bool = False
    digits: int = 3
    per_item: bool = False
    repeatable: bool = True
    group: str = ""

    def show(self, value: float) -> str:
        """The value as the tables print it; `-` for NaN."""
        if math.isnan(value):
            return "-"
        if math.isinf(value):
            return "inf"
        return f"{100 * value if self.percent else value:.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """Figures of one part on one item; NaN where a figure does not apply."""

    item: str
    part: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """The result of one evaluation.

    Attributes:
        title: what was measured on what.
        protocol: name of the protocol and every switch of it.
        columns: the figures and how to show them.
        parts: names in the order of the tables: the part that was asked for, then the controls.
        rows: one an item and part.
        remarks: sentences below the tables.
        pooled: figures whose mean is a ratio of sums over items, by part; they replace the mean of the items.
        complete: False when the run was interrupted.
    """

    title: str
    protocol: Mapping[str, Any]
    columns: Sequence[Column]
    parts: Sequence[str]
    rows: Sequence[Row]
    remarks: Sequence[str] = ()
    pooled: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    complete: bool = True

    @property
    def items(self) -> list[str]:
        """Keys of the items, in order, each once."""
        return list(dict.fromkeys(row.item for row in self.rows))

    def values(self, part: str, figure: str) -> dict[str, float]:
        """One figure of one part, by item; NaN where it does not apply."""
        return {row.item: row.figures.get(figure, math.nan) for row in self.rows if row.part == part}

    def mean(self, part: str, figure: str) -> float:
        """Mean over the items where the figure applies (every item counts the same), or the pooled figure; NaN without any."""
        if figure in self.pooled.get(part, {}):
            return self.pooled[part][figure]
        found = [value for value in self.values(part, figure).values() if not math.isnan(value)]
        return sum(found) / len(found) if found else math.nan

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """Part to figure to mean."""
        return {part: {c.figure: self.mean(part, c.figure) for c in self.columns} for part in self.parts}

    def groups(self) -> list[tuple[str, list[Column]]]:
        """Titles of the tables of means with their columns; tables in which no part has a figure are left out."""
        found = {column.group: [c for c in self.columns if c.group == column.group] for column in self.columns}
        return [
            (title, columns)
            for number, (title, columns) in enumerate(found.items())
            if number == 0 or any(not math.isnan(self.mean(part, c.figure)) for part in self.parts for c in columns)
        ]

    def text(self, width: int = 160) -> str:
        """The tables as plain text: means, then items, then the remarks."""
        from io import StringIO

        from rich.console import Console

        console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
        # above the tables, not as their titles: those would be broken at the width of the table
        console.print(f"{self.title}, protocol {self.protocol['name']}", markup=False, highlight=False)
        for title, columns in self.groups():
            console.print(f"\n{self.heading(title, columns)}", markup=False, highlight=False)
            console.print(self._mean_table(columns))
        console.print(f"per item: {self._item_figures()}", markup=False, highlight=False)
        console.print(self._item_table())
        for remark in self.remarks:
            console.print(remark, markup=False, highlight=False, soft_wrap=True)
        if not self.complete:
            console.print("INTERRUPTED: figures of the items measured so far")
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"

    def markdown(self) -> str:
        """The same tables for a page of documentation or a model card, without times: every run prints the same."""
        lines: list[str] = []
        for title, group in self.groups():
            columns = [column for column in group if column.repeatable]
            head = ["", *(f"{c.label}{arrow(c)}" for c in columns)]
            rows = [[p, *(c.show(self.mean(p, c.figure)) for c in columns)] for p in self.parts]
            above = ["", self.heading(title, group).capitalize(), ""] if title else []
            lines += [*above, *_markdown_table(head, rows)]
        head, rows = self._item_cells()
        items = [f"Per item: {self._item_figures()}", "", *_markdown_table(head, rows), ""]
        return "\n".join([*lines, "", *items, *(f"- {remark}" for remark in self.remarks)]) + "\n"

    def to_json(self) -> str:
        """Everything as JSON; NaN and inf become null."""
        content = {
            "title": self.title,
            "complete": self.complete,
            "protocol": dict(self.protocol),
            "columns": [asdict(column) for column in self.columns],
            "parts": list(self.parts),
            "means": self.means,
            "rows": [{"item": row.item, "part": row.part, "figures": dict(row.figures)} for row in self.rows],
            "remarks": list(self.remarks),
        }
        return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"

    def save(self, path: str | Path) -> None:
        """Write `to_json()` to a file, atomically.

        Raises:
            OutputError: the file cannot be written.
        """
        write_bytes(path, self.to_json().encode())

    def heading(self, title: str, columns: Sequence[Column]) -> str:
        """What stands above a table of means: its title, if it has one, and how many items have figures."""
        figure = columns[0].figure
        count = sum(not math.isnan(value) for value in self.values(self.parts[0], figure).values())
        pooled = [column.label for column in columns if column.figure in self.pooled.get(self.parts[0], {})]
        note = f" ({', '.join(pooled)}: of all items together)" if pooled else ""
        return f"{title}{': ' if title else ''}mean over {count} item{'' if count == 1 else 's'}{note}"

    def _mean_table(self, columns: Sequence[Column]) -> Any:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("")
        for column in columns:
            table.add_column(f"{column.label}{arrow(column)}", justify="right")
        for part in self.parts:
            table.add_row(part, *(column.show(self.mean(part, column.figure)) for column in columns))
        return table

    def _item_table(self) -> Any:
        from rich import box
        from rich.table import Table

        head, rows = self._item_cells()
        table = Table(box=box.SIMPLE_HEAD)
        for i, name in enumerate(head):
            table.add_column(name, justify="right" if i else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return table

    def _item_figures(self) -> str:
        return " / ".join(f"{c.label}{arrow(c)}" for c in self.columns if c.per_item)

    def _item_cells(self) -> tuple[list[str], list[list[str]]]:
        columns = [column for column in self.columns if column.per_item]
        figures = {(row.item, row.part): row.figures for row in self.rows}
        rows = []
        for item in self.items:
            found = [figures.get((item, part), {}) for part in self.parts]
            rows.append([item, *(" / ".join(c.show(own.get(c.figure, math.nan)) for c in columns) for own in found)])
        return ["item", *self.parts], rows


def arrow(column: Column) -> str:
    """What follows a heading: the unit of a share, and which direction is better."""
    unit = " %" if column.percent else ""
    return unit + {"low": " ↓", "high": " ↑", "": ""}[column.better]


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
