"""The family drawn twice: as a map, cluster by cluster, and as a tree that grows downwards with the years."""

from tinyae.figures.family import CLUSTERS, children, family
from tinyae.figures.lettering import SMALL, width
from tinyae.figures.svg import Canvas

NAME = 15  # size of the names in the tree; in the map they are smaller
EDGE = 14  # from the border of the canvas to what lies next to it
LANE, ROW, TOP = 17, 44, 22  # of the tree: from lane to lane, from row to row, and the first row
BOX, TALL, GAP = (186, 48), 66, (26, 10)  # of the map: a box, the height of one that names its parent, and the space between boxes
HEAD = 30  # the height of a cluster's heading
FILLS = {
    "deterministic": "layer",
    "sparse": "data",
    "variational": "latent",
    "discrete": "discrete",
    "hierarchical": "hierarchical",
    "score": "score",
}
LEFT_SIDE = "deterministic", "sparse"  # clusters whose lanes lie left of the trunk of the tree
CAPTIONS = {
    "family": "The family by clusters. Each box names the one change that tells it from its parent, the box on its left or the one that is named in "
    "it. Numbers are lessons.",
    "evolution": "The family by years. Each line leads from a member to the nearest older one, from which it differs by the change that is named; "
    "colours are those of the clusters.",
}
ALTS = {
    "family": "A map of clusters, in each a tree from left to right. {}.",
    "evolution": "A tree that grows downwards with the years; each member hangs below the one that it differs from. {}.",
}


def evolution_tree_svg():
    """The tree of the family: a row for each member, newest last, its lane joined to that of its parent."""
    return evolution_tree().svg()


def family_map_svg():
    """The map of the family: who differs from whom by which one change."""
    return family_map().svg()


def alt(name):
    """The "family" or the "evolution" in words: every member, its year, its change and its parent."""
    table = family()
    told = (f"{m.name}, {m.year}: {m.change}" + (f", from {table[m.parent].name}" if m.parent else "") for m in table.values())
    return ALTS[name].format("; ".join(told))


def lanes():
    """The lane of every member, counted from the left.  The last child goes on in its parent's; any other takes the nearest that is free.

    What belongs to the clusters of LEFT_SIDE leaves the trunk to the left, all else to the right.  The lane beside a parent is kept for children
    without children, so that few lines cross.
    """
    order = list(family())
    last = {key: max([order.index(child.key) for child in children(key)], default=order.index(key)) for key in order}
    found, busy = {}, {}  # busy: of each lane the row until which it is taken
    for row, (key, m) in enumerate(family().items()):
        home = found.get(m.parent, 0)
        side = (-1 if m.cluster in LEFT_SIDE else 1) if home == 0 else (1 if home > 0 else -1)
        if m.parent and last[m.parent] == row:
            lane = home
        else:
            near = home + side * (bool(m.parent) + (bool(children(key)) and _has_leaves(m.parent)))
            lane = next(lane for lane in range(near, side * len(order), side) if busy.get(lane, -1) < row)
        found[key], busy[lane] = lane, last[key]
    first = min(found.values())
    return {key: lane - first for key, lane in found.items()}


def _has_leaves(key):
    """Whether a member has children without children, beside the last one, which goes on in its lane."""
    return key is not None and any(not children(child.key) for child in children(key)[:-1])


def evolution_tree():
    """The Canvas of the tree."""
    table, places = family(), lanes()
    left = EDGE + 14 + LANE * (max(places.values()) + 1)
    extent = left + 46 + max(max(_name_width(m) + width(_short(m.authors), SMALL), width(m.change, SMALL)) for m in table.values()) + EDGE
    canvas = Canvas("evolution", round(extent), TOP + ROW * len(table) - 4, "The family of autoencoders, by year", alt("evolution"))
    dots = {key: (EDGE + 6 + LANE * places[key], TOP + ROW * row) for row, key in enumerate(table)}
    across = [m for m in table.values() if m.parent and places[m.key] != places[m.parent]]
    for m in table.values():
        if m.parent and m not in across:
            canvas.line((dots[m.parent], dots[m.key]), f"{m.cluster}-line", head=False, name=f"{m.parent} {m.key}", weight=2.2)
        elif m.parent:
            (x, y), b = dots[m.parent], dots[m.key][1] - 8
            canvas.line(((x, y), (x, b)), f"{m.cluster}-line", head=False, name=f"{m.parent} {m.key}", weight=2.2)
    for m in across:
        x, (a, b) = dots[m.parent][0], dots[m.key]
        canvas.line(((x, b - 8), (x, b), (a, b)), f"{m.cluster}-line", head=False, name=f"{m.parent} {m.key}", weight=2.2, halo=True)
    for key, m in table.items():
        _row(canvas, m, *dots[key], left)
    return canvas


def _short(authors):
    """Authors as they fit in a row: where there are many, the first one stands for three or more."""
    if len(authors) <= 28:
        return authors
    return "; ".join(f"{group.split(',')[0]} et al." if "," in group else group for group in authors.split("; "))


def _name_width(member):
    """The width of a name in the tree, with the space after it."""
    return width(member.name, NAME, True) + 10


def _row(canvas, member, x, y, left):
    """The dot of a member in its lane, and its two lines of text."""
    canvas.open(member.key)
    canvas.dot(x, y, 5, f"{member.cluster}-line", member.key)
    canvas.text(left, y + 5, str(member.year), SMALL, "start", "soft")
    canvas.text(left + 46, y + 5, member.name, NAME, "start", bold=True)
    canvas.text(left + 46 + _name_width(member), y + 5, _short(member.authors), SMALL, "start", "soft")
    canvas.text(left + 46, y + 21, member.change, SMALL, "start")
    canvas.close()


def grid(cluster):
    """{key: (column, row)} of the members of a cluster: children stand right of their parent, the first one beside it, the others below.

    A member without parent and children here fills the space below the others' first ones.
    """
    members = [m for m in family().values() if m.cluster == cluster]
    keys, found, row = {m.key for m in members}, {}, 0

    def place(key, column):
        nonlocal row
        found[key] = column, row
        for i, child in enumerate(child for child in children(key) if child.key in keys):
            row += i > 0
            place(child.key, column + 1)

    roots = [m for m in members if m.parent not in keys]
    for m in roots:
        if found and not any(child.key in keys for child in children(m.key)):
            found[m.key] = 0, 1 + max(below for column, below in found.values() if column < 2)
        else:
            row = 1 + max((below for _, below in found.values()), default=-1)
            place(m.key, 0)
    return found


def family_map():
    """The Canvas of the map."""
    places = {cluster: grid(cluster) for cluster in CLUSTERS}
    wide = 1 + max(column for cells in places.values() for column, _ in cells.values())
    size = 2 * EDGE + wide * BOX[0] + (wide - 1) * GAP[0] + 16
    tops = {cluster: _rows(cells) for cluster, cells in places.items()}
    height = sum(rows[-1] for rows in tops.values()) + 10 * (len(tops) + 1)
    canvas = Canvas("family", size, height, "The family of autoencoders, by cluster", alt("family"))
    top = 10
    for cluster, cells in places.items():
        _panel(canvas, cluster, {key: (column, *tops[cluster][row : row + 2]) for key, (column, row) in cells.items()}, top, tops[cluster][-1])
        top += tops[cluster][-1] + 10
    return canvas


def _foreign(key, keys):
    """Whether the parent of a member stands in another cluster."""
    return family()[key].parent is not None and family()[key].parent not in keys


def _rows(cells):
    """Where each row of a cluster begins below the top of its panel, and where the panel ends."""
    tall = {row for key, (_, row) in cells.items() if _foreign(key, cells)}
    found = [HEAD]
    for row in range(1 + max(row for _, row in cells.values())):
        found.append(found[-1] + (TALL if row in tall else BOX[1]) + GAP[1])
    return found


def _panel(canvas, cluster, cells, top, height):
    """A panel with the boxes of a cluster and the lines between them.  cells: {key: (column, its upper end, that of the next row)}."""
    table = family()
    canvas.box(canvas.width / 2, top + height / 2, canvas.width - EDGE, height, "shade", radius=8, name=cluster, kind="panel")
    canvas.text(EDGE + 8, top + 20, cluster, SMALL, "start", bold=True)
    canvas.text(EDGE + 16 + width(cluster, SMALL, True), top + 20, CLUSTERS[cluster], SMALL, "start", "soft")
    boxes = {}
    for key, (column, start, end) in cells.items():
        tall = TALL if _foreign(key, cells) else BOX[1]
        boxes[key] = EDGE + 8 + BOX[0] / 2 + column * (BOX[0] + GAP[0]), top + (start + end - GAP[1]) / 2, tall
    for key, (x, y, _) in boxes.items():
        if (parent := table[key].parent) in boxes:
            a, b, tall = boxes[parent]
            start = (a + BOX[0] / 2, y) if y == b else (a - BOX[0] / 2 + 16, b + tall / 2)
            canvas.line((start, (x - BOX[0] / 2, y)) if y == b else (start, (start[0], y), (x - BOX[0] / 2, y)), name=f"{parent} {key}")
    for key, place in boxes.items():
        _member(canvas, table[key], *place)


def _member(canvas, member, x, y, tall):
    """The box of a member: its name, what is new in it, and its parent where that stands elsewhere."""
    left, top = x - BOX[0] / 2, y - tall / 2
    canvas.open(member.key)
    canvas.box(x, y, BOX[0], tall, FILLS[member.cluster], name=member.key)
    canvas.text(left + 9, top + 20, member.name.replace(" autoencoder", " AE"), 14, "start", bold=True)
    canvas.text(left + 9, top + 38, member.change, SMALL, "start")
    if tall == TALL:
        canvas.text(left + 9, top + 56, f"from: {family()[member.parent].name}".replace(" autoencoder", " AE"), SMALL, "start", "soft")
    if member.lesson is not None:
        canvas.badge(left + BOX[0] - 14, top + 14, str(member.lesson), "gradient", 9)
    canvas.close()
