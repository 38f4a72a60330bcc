"""Runs side by side: a panel for each number."""

from matplotlib.ticker import MaxNLocator

from tinyae.figures.style import INK, WIDTH, blank, literal, styled

COLUMNS, COLOURS = 3, ("#1b6ca8", "#c0392b", "#2a7f3f", "#e07b00", "#7d3c98", "#616a6b")


@styled
def comparison(runs, keys):
    """A panel for each number: a dot for each run, with two standard errors to either side; lines for numbers of each dimension or level.

    runs: name -> {key: {"value": a number, a list or None, "unit": its unit, "standard_error": of it, if there is one}}.  keys: those to be
    drawn, in order, but for those that are the same for all runs.  A run that has not the number has an empty row.  Numbers of each dimension
    are sorted, the largest first.
    """
    keys = [key for key in keys if any(numbers.get(key) != next(iter(runs.values())).get(key) for numbers in runs.values())]
    panels = max(1, len(keys))
    rows = -(-panels // COLUMNS)
    columns = min(COLUMNS, panels)
    height = 0.75 + 0.19 * max(len(runs), 3)
    figure = blank(WIDTH * max(columns, 2) / COLUMNS, rows * height + 0.4)
    figure.supxlabel("dots: means over the test split; bars: two standard errors to either side, where there are any", fontsize=8)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(keys) :]:
        axes.set_axis_off()
    for i, (axes, key) in enumerate(zip(grid.flat, keys, strict=False)):
        found = {name: numbers[key] for name, numbers in runs.items() if key in numbers}
        unit = next(iter(found.values()))["unit"]
        if any(isinstance(number["value"], list) for number in found.values()):
            _lines(axes, runs, found, unit)
        else:
            _dots(axes, runs, found, unit, names=i % columns == 0)
        axes.set_title(key.replace("_", " "), color=INK)
    return figure


def _dots(axes, runs, found, unit, names):
    for place, name in enumerate(runs):
        number = found.get(name)
        if number is not None and number["value"] is not None:
            error = 2 * (number.get("standard_error") or 0.0)
            axes.errorbar(number["value"], place, xerr=error, fmt="o", ms=4, color=COLOURS[place % len(COLOURS)], lw=1.2)
    axes.set_yticks(range(len(runs)), list(map(literal, runs)) if names else [""] * len(runs))
    axes.set(ylim=(len(runs) - 0.5, -0.5))
    axes.set_xlabel(unit, fontsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.15)


def _lines(axes, runs, found, unit):
    for place, name in enumerate(runs):
        if name in found and found[name]["value"]:
            values = sorted((value for value in found[name]["value"] if value is not None), reverse=True)
            axes.plot(range(1, len(values) + 1), values, marker="o", ms=2.5, lw=1, color=COLOURS[place % len(COLOURS)])
    axes.set_xlabel("dimension or level, sorted", fontsize=7)
    axes.set_ylabel(unit, fontsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
