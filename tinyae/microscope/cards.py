"""What the terminal shows of a record: the source with its selected line, and a card for an operation."""

import math

BARS, ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
WORDS = {"right": "agrees with finite differences", "wrong": "WRONG", "kink": "at a kink", "surrogate": "surrogate: not the derivative, on purpose"}
NARROW = 70  # columns, below which the card stands under the source


class Scrolled:
    """A text of which rich draws the part from `shown.scroll` on that fits; scrolling ends where the end is seen."""

    def __init__(self, shown, text):
        self.shown, self.text = shown, text

    def __rich_console__(self, console, options):
        from rich.segment import Segment
        from rich.style import Style

        lines = console.render_lines(self.text, options.update(height=None), pad=False)
        height = options.height or len(lines)
        room = max(height - 1, 1) if len(lines) > height else height
        self.shown.page = max(room - 1, 1)
        self.shown.scroll = start = max(0, min(self.shown.scroll, len(lines) - room))
        for line in lines[start : start + room]:
            yield from line
            yield Segment.line()
        if room < height:
            above, below = start, len(lines) - start - room
            ways = [f"{above} above, PageUp" * bool(above), f"{below} below, Space" * bool(below)]
            yield Segment(f"... {'; '.join(filter(None, ways))}"[: options.max_width], Style(reverse=True))


def page(shown, width, height, keys, every_key):
    """The screen: heading, source and card (or, where they are asked for, all keys), the most useful keys."""
    from rich.layout import Layout
    from rich.padding import Padding
    from rich.text import Text

    if height < 6:
        return Text(f"{operation(shown.record, shown.node)}  {shown.node['name']} = {shown.node['text']}", no_wrap=True, overflow="ellipsis")
    whole, middle = Layout(), Layout()
    room = height - 2
    narrow = width < NARROW
    source_height = max(3, room // 3) if narrow else room
    left = Layout(source(shown, source_height), size=source_height if narrow else None, ratio=1)
    text = Text("\n".join(f"{pressed}\n    {action}" for pressed, action in every_key.items())) if shown.help else card(shown)
    right = Layout(Padding(Scrolled(shown, text), (0, 0, 0, 0 if narrow else 2)), ratio=1)
    (middle.split_column if narrow else middle.split_row)(left, right)
    whole.split_column(Layout(heading(shown), size=1), middle, Layout(Text(keys, style="dim", no_wrap=True, overflow="ellipsis"), size=1))
    return whole


def heading(shown):
    """Mode, place in it, loss and its terms, seed."""
    from rich.text import Text

    record, order = shown.record, shown.order
    loss = f"{record['loss']['name']} = {number(record['loss']['value'])}"
    terms = " + ".join(f"{term['name']} {number(term['value'])}" for term in record["terms"]) if len(record["terms"]) > 1 else ""
    at = next((i for i, node in enumerate(order, 1) if node is shown.node), 1)
    text = f"{shown.mode.upper()} {at}/{len(order)}  {loss}{f' ({terms})' if terms else ''}  gradient: {shown.term or 'total'}  seed {record['seed']}"
    return Text(text, style="bold", no_wrap=True, overflow="ellipsis")


def source(shown, height):
    """The function around the selected line, the line marked, as many lines as fit."""
    from rich.text import Text

    function = shown.record["functions"][shown.node["function"]]
    lines, selected = function["lines"], shown.node["at"] - function["first"]
    start = max(0, min(selected - (height - 1) // 2, len(lines) - (height - 1)))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(", ".join(filter(None, (function["file"], function["name"]))) + "\n", style="bold")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    for i, line in enumerate(lines[start : start + height - 1], start):
        marked = i == selected
        text.append(f"{'>' if marked else ' '}{function['first'] + i:>5}  {line[indent:].expandtabs(4)}\n", style="reverse" if marked else "")
    return text


def card(shown):
    """The card of the selected operation; in the backward mode the gradient comes first."""
    from rich.text import Text

    node, text = shown.node, Text()
    text.append(f"{node['name']} = {node['text']}\n", style="bold")
    text.append(f"{operation(shown.record, node)}: {node['operation']}\n")
    if node["about"]:
        text.append(f"{node['about']}\n", style="dim")
    for call in node["path"]:
        text.append(f"  in {call['file']}:{call['line']}  {call['source']}\n", style="dim")
    parts = [backward, forward] if shown.mode == "backward" else [forward, backward]
    for part in parts:
        for line, style in part(shown):
            text.append(line + "\n", style=style)
    text.rstrip()
    return text


def forward(shown):
    """(line, style) of what went in and what came out."""
    node = shown.node
    yield "\nVALUE", "bold"
    yield from array(node["value"], shown.bars)
    for given in node["inputs"]:
        origin = f"operation {given['node']}" if given["node"] else "noise, a constant" if given["noise"] else given["kind"]
        yield f"  {given['role']}: {given['text']}  {shape(given['shape'])}  ({origin})", ""
    for name, value in node["attributes"].items():
        yield f"  {name} = {value}", "dim"
    for note in node["notes"]:
        yield f"  ! {note}", "yellow"
    if node["inside"]:
        yield f"  in simple steps: {', '.join(inner['operation'] for inner in node['inside'])}", "dim"


def backward(shown):
    """(line, style) of the gradient that came in, and of what the rules made of it."""
    node = shown.node
    yield f"\nGRADIENT of {shown.record['loss']['name']}{f', from {shown.term} alone' if shown.term else ''}", "bold"
    if node["gradient"] is None:
        yield "  none: the backward pass does not come here", ""
        return
    part = node["gradient"] if shown.term is None else node["terms"].get(shown.term)
    if part is None:
        yield f"  nothing comes from {shown.term}", ""
    else:
        yield from array(part, shown.bars)
    for one in node["from"]:
        yield f"  from operation {one['node']}: norm {number(one['norm'])}, {one['share']:.0%} of the sum", ""
    if node["spread"] is not None:
        yield f"  over fresh noise: mean gradient {number(node['spread']['mean'])}, standard deviation {number(node['spread']['deviation'])}", ""
    if node["check"] is not None:
        yield from proof(node["check"], "  proof: ")
    for rule in node["rules"]:
        to = f"operation {rule['to']}" if isinstance(rule["to"], int) else ".grad"
        summed = f", summed over axis {', '.join(map(str, rule['summed']))}" if rule["summed"] else ""
        yield f"\n  to {node['inputs'][rule['input']]['text']} ({to}):  {rule['text']}{summed}", "cyan"
        yield f"    norm {number(rule['norm'])}, shape {shape(rule['shape'])}", ""
        if rule["check"] is not None:
            yield from proof(rule["check"], "    ")


def proof(check, start):
    """(line, style) of a proof."""
    word, numbers = WORDS.get(check["verdict"], check["verdict"]), ""
    if check["numeric"] is not None and check["analytic"] is not None:
        numbers = f": {number(check['numeric'])} and {number(check['analytic'])}, relative error {number(check['error'])}"
    yield f"{start}{word}{numbers}", {"wrong": "bold red", "right": "green"}.get(check["verdict"], "yellow")


def array(found, bars):
    """(line, style) of the statistics of an array; of a single number it is enough to tell it."""
    if math.prod(found["shape"]) == 1 and found["min"] is not None:
        yield f"  {shape(found['shape'])} {found['dtype']}, {number(found['min'])}", ""
        return
    yield f"  {shape(found['shape'])} {found['dtype']}, norm {number(found['norm'])}", ""
    if found["min"] is not None:
        yield f"  {number(found['min'])} to {number(found['max'])}, mean {number(found['mean'])} +- {number(found['deviation'])}", ""
    if len(found["histogram"]) > 1:
        most = max(found["histogram"])
        yield "  |" + "".join(bars[-(-count * 8 // most)] for count in found["histogram"]) + "|", ""
    for name in ("nan", "infinite"):
        if found[name]:
            yield f"  ! {found[name]} entries are {name.replace('nan', 'NaN')}", "bold red"


def shape(sizes):
    """A shape as text."""
    return str(tuple(sizes))


def number(value):
    """A number as text."""
    return "not finite" if value is None else f"{value:.4g}"


def line_of(node):
    """What operations of one line have in common; each turn of a loop is a line of its own, those within the library are not."""
    return node["function"], node["line"], node["turn"] if not node["path"] else 0


def operation(record, node):
    """The number of a node, and its line of the source."""
    return f"operation {node['id']} ({place(record, node)})"


def place(record, node):
    """file:line of a node."""
    return f"{record['functions'][node['function']]['file']}:{node['at']}"
