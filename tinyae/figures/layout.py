"""What is wrong with the layout of a drawing: what lies outside, what overlaps, which text leaves its box, which line crosses what.

It measures in DejaVu Sans, the widest font that a drawing may be shown in.
"""

import itertools

MARGIN, INSIDE, SLACK = 3, 3, 1.5  # pixels: to the edge of the canvas, from a text to its box, and what a line may touch


def problems(canvas):
    """Sentences, one for each fault of a `svg.Canvas`; none for a good one."""
    texts, shapes, lines, badges = ([mark for mark in canvas.marks if mark.kind == kind] for kind in ("text", "shape", "line", "badge"))
    solids = [*shapes, *(mark for mark in canvas.marks if mark.kind == "dot")]
    found = [f"{named(mark)} leaves the canvas" for mark in canvas.marks if not _within(mark, (0, 0, canvas.width, canvas.height), MARGIN)]
    found += [f"{named(a)} and {named(b)} overlap" for a, b in itertools.combinations((*texts, *badges), 2) if _meet(a.box, b.box)]
    found += [f"{named(a)} and {named(b)} overlap" for a, b in itertools.combinations(solids, 2) if _polygons_meet(a.points, b.points)]
    for text in texts:
        found += [f"{named(text)} leaves {named(s)}" for s in shapes if _polygons_meet(text.points, s.points) and not _holds(s.points, text.points)]
        panels = (mark for mark in canvas.marks if mark.kind == "panel" and _meet(text.box, mark.box))
        found += [f"{named(text)} leaves {named(panel)}" for panel in panels if not _within(text, panel.box, INSIDE)]
    for line in lines:
        pieces = list(itertools.pairwise(line.points))
        found += [f"{named(line)} crosses {named(mark)}" for mark in (*texts, *shapes) if any(_cuts(piece, mark.points) for piece in pieces)]
    return found


def named(mark):
    """A mark in words."""
    return f"{mark.kind} {mark.name!r}"


def _within(mark, box, margin):
    """Whether a mark lies inside a box, `margin` from its edges."""
    left, top, right, bottom = mark.box
    return left >= box[0] + margin and top >= box[1] + margin and right <= box[2] - margin and bottom <= box[3] - margin


def _meet(a, b):
    """Whether two boxes overlap by more than half a pixel."""
    return min(a[2], b[2]) - max(a[0], b[0]) > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5


def _distances(polygon, point):
    """How far a point lies inside each edge of a convex polygon given clockwise on the screen; negative: outside."""
    for (x, y), (a, b) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        yield ((a - x) * (point[1] - y) - (b - y) * (point[0] - x)) / ((a - x) ** 2 + (b - y) ** 2) ** 0.5


def _holds(polygon, points):
    """Whether every point lies inside the polygon, with some room; letters may come nearer to the edge above and below than at their ends."""
    left, top, right, bottom = points[0][0], points[0][1], points[2][0], points[2][1]
    ends = (left - INSIDE, top), (right + INSIDE, top), (right + INSIDE, bottom), (left - INSIDE, bottom)
    return all(distance >= 0 for point in ends for distance in _distances(polygon, point))


def _polygons_meet(a, b):
    """Whether two convex polygons overlap by more than half a pixel: no edge of either has the other one wholly outside."""
    return not any(_separates(p, q) for p, q in ((a, b), (b, a)))


def _separates(polygon, points):
    """Whether all points lie outside one edge of the polygon."""
    columns = zip(*(_distances(polygon, point) for point in points), strict=True)
    return any(max(column) < 0.5 for column in columns)


def _cuts(piece, polygon):
    """Whether a straight piece runs inside a convex polygon, more than touching it."""
    (x, y), (a, b) = piece
    low, high = 0.0, 1.0
    for start, end in zip(_distances(polygon, (x, y)), _distances(polygon, (a, b)), strict=True):
        start, end = start - SLACK, end - SLACK
        if start < 0 and end < 0:
            return False
        if start < 0:
            low = max(low, start / (start - end))
        elif end < 0:
            high = min(high, start / (start - end))
    return high - low > 1e-6
