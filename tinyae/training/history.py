"""The history of a training: one row an epoch, every term."""

import csv
import io


class History:
    """rows: a list of dicts (epoch, train_loss, test_loss, ..., seconds); `history["test_loss"]` is a column.

    interrupted: whether Ctrl-C ended it.  stopped: whether early stopping did.  kept: the epoch whose weights it kept; None without it.
    warnings: what the monitor saw.
    """

    def __init__(self):
        self.rows, self.interrupted, self.stopped, self.kept, self.warnings = [], False, False, None, []

    def __getitem__(self, name):
        return [row[name] for row in self.rows]

    def __len__(self):
        return len(self.rows)

    def __repr__(self):
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.rows[-1].items() if value is not None) if self.rows else "nothing yet"
        return f"History({len(self)} rows; last: {last})"

    def add(self, epoch, splits, **more):
        """A row: splits is name of a split -> its terms; more are columns of their own."""
        terms = {f"{split}_{name}": value for split, found in splits.items() for name, value in found.items()}
        self.rows.append({"epoch": epoch, **terms, **more})
        return self.rows[-1]

    def to_csv(self):
        """The rows as comma-separated text with a header."""
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self.rows for name in row) or ["epoch"]
        writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()
