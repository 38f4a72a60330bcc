"""The history of a training: one row an epoch, every term."""

import csv
import io


class History:
    """rows: a list of dicts (epoch, train_loss, test_loss, ..., seconds); `history["test_loss"]` is a column."""

    def __init__(self):
        self.rows, self.interrupted = [], False

    def __getitem__(self, name):
        return [row[name] for row in self.rows]

    def __len__(self):
        return len(self.rows)

    def __repr__(self):
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.rows[-1].items()) if self.rows else "nothing yet"
        return f"History({len(self)} rows; last: {last})"

    def add(self, epoch, train, test, seconds):
        """A row from the terms of both splits (test may be empty)."""
        terms = {f"train_{name}": value for name, value in train.items()} | {f"test_{name}": value for name, value in test.items()}
        self.rows.append({"epoch": epoch, **terms, "seconds": round(seconds, 4)})
        return self.rows[-1]

    def to_csv(self):
        """The rows as comma-separated text with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=self.rows[0].keys() if self.rows else ["epoch"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()
