"""What a person reads at the end, and parity.md and parity.json, which hold the same."""

import json
from pathlib import Path

from .rows import Row, as_markdown, as_text, missed


class Report:
    """Sections of rows, printed as they come and written anew each time: a long run may be stopped."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self.sections: dict[str, list[Row]] = {}
        self.notes: dict[str, str] = {}

    def add(self, name: str, rows: list[Row], note: str = "") -> None:
        self.sections[name], self.notes[name] = rows, note
        print("\n" + "\n".join(line for line in (name, note, as_text(rows)) if line) + "\n", flush=True)
        self.write()

    def write(self) -> None:
        sections = [
            "\n\n".join(text for text in (f"## {name}", self.notes[name], as_markdown(rows)) if text)
            for name, rows in self.sections.items()
        ]
        (self.out / "parity.md").write_text("# convae and Keras\n\n" + "\n\n".join(sections) + "\n")
        record = {
            name: {"note": self.notes[name], "rows": [row.json() for row in rows]}
            for name, rows in self.sections.items()
        }
        (self.out / "parity.json").write_text(json.dumps(record, indent=1) + "\n")

    def conclude(self) -> int:
        """Says which bars were missed and where to look; the exit code tells whether any was."""
        failed = {name: missed(rows) for name, rows in self.sections.items() if missed(rows)}
        for name, rows in failed.items():
            print(f"{name}: {len(rows)} missed. Parted first: {rows[0].culprit} ({rows[0].comparison})")
        rows = [row for rows in self.sections.values() for row in rows]
        if not failed:
            unchecked = sum(row.ok is None for row in rows)
            rest = f" ({unchecked} not checked)" if unchecked else ""
            print(f"All {sum(bool(row.ok) for row in rows)} bars hold{rest}. Tables and pictures: {self.out}")
        return 1 if failed else 0
