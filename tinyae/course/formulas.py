"""The formulas of a lesson: TeX as MathML that may be broken over lines, with its source kept; what does not convert is an error."""

import itertools
from xml.etree import ElementTree

from tinyae.errors import ArgumentError

RELATIONS = set("=<>≤≥≈≠∼≡∝→⇒⇔∈↦")
SIGNS = set("+−±")
OPENING, CLOSING = set("([{⟨⌊"), set(")]}⟩⌋")
BARS, PRIMES = set("‖∥|"), set("′″‴⁗")
BARE = BARS | {"/"}  # signs that TeX leaves no space around
LONG = {False: 22, True: 26}  # characters of a formula that is not broken: in a line, on a line of its own
WIDE = 1.0  # em: a space that separates two formulas
PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "mover": 2, "munder": 2, "mroot": 2, "msubsup": 3, "munderover": 3}
STYLES = {"bold": "font-weight: bold", "bold-italic": "font-weight: bold", "italic": "font-style: italic", "monospace": "font-family: monospace"}
GAP = "\N{EM SPACE}"  # between formulas in a line of text
OVERLINE = "\N{HORIZONTAL BAR}"  # what the converter puts above an \\overline


def to_html(latex, display, where):
    """A formula as HTML: MathML elements with possible line ends between them, the TeX source as the annotation of the first.

    Of several equations on a line of their own each keeps together, and is broken only where it alone is too wide.
    where: what an error names.  Raises ArgumentError where something does not convert.
    """
    tree = _tree(latex, display, where)
    fits = len("".join(tree.itertext())) <= LONG[display]
    equations = [list(tree[0])] if fits else _equations(tree[0])
    pieces = [_pieces(equation, display) for equation in equations]
    first = next((piece for piece in itertools.chain(*pieces) if piece.tag == "math"), None)
    if first is not None:  # it is more than words
        _annotate(first, latex)
    lines = ["<wbr>".join(map(_term, found)) for found in pieces]
    if not display:
        return f"{GAP}<wbr>".join(lines)
    kinds = ("equation" if any(piece.tag == "math" for piece in found) else "words" for found in pieces)
    return '<span class="formula">' + "<wbr>".join(f'<span class="{kind}">{line}</span>' for kind, line in zip(kinds, lines, strict=True)) + "</span>"


def _term(piece):
    """A piece as HTML.  MathML stands in a box of its own: by itself some browsers give its line more room than it takes."""
    written = ElementTree.tostring(piece, encoding="unicode")
    return f'<span class="term">{written}</span>' if piece.tag == "math" else written


def to_text(latex, where):
    """The signs of a formula as plain text, for the search."""
    return "".join(" " if part.tag == "mspace" else part.text or "" for part in _tree(latex, False, where).iter())


def _tree(latex, display, where):
    """The MathML of a formula as a tree, math > mrow > its parts.  Raises ArgumentError naming `where`."""
    from latex2mathml.converter import convert

    try:
        written = convert(latex.strip().replace("{aligned}", "{align*}"), display="block" if display else "inline")
        tree = ElementTree.fromstring(written.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    except Exception as error:  # whatever the converter stumbles over
        raise ArgumentError(f"{where}: this formula does not convert.", got=latex.strip(), likely=str(error) or type(error).__name__) from error
    wrong = [f"{text} is not known" for text in tree.itertext() if "\\" in text or "$" in text or text == "&"]
    wrong += [f"a part of {part.tag} is missing" for part in tree.iter() if len(part) != PARTS.get(part.tag, len(part))]
    wrong += ["it is empty"] * (not "".join(tree.itertext()).strip())
    if wrong:
        raise ArgumentError(f"{where}: this formula does not convert.", got=latex.strip(), likely=wrong[0])
    for part in list(tree.iter()):
        _mend(part)
    for row in [part for part in tree.iter() if part.tag in ("math", "mrow", "mtd", "msqrt", "mstyle")]:
        _sign(row)
        _space(row)
    return tree


def _mend(part):
    """Put right what browsers show otherwise than TeX does: words in upright letters, accents, the sign of a distribution."""
    letters = [letter for letter in part if letter.tag == "mi" and letter.get("mathvariant")]
    if part.tag == "mrow" and letters and len(letters) == len(part):  # \mathrm{KL}
        part.text, part.tag, variant = "".join(letter.text for letter in letters), "mi", letters[0].get("mathvariant")
        part[:] = []
        part.attrib = {"mathvariant": variant}
    if part.text == "~" and part.tag == "mi":
        part.tag, part.text = "mo", "∼"
    if part.text == "∂":
        part.tag, part.attrib = "mi", {"mathvariant": "normal"}
    if part.tag == "mo" and part.text in BARE:
        part.attrib |= {"lspace": "0", "rspace": "0", "stretchy": part.get("stretchy", "false")}
    if part.tag in ("msup", "msubsup") and set("".join(part[-1].itertext())) <= PRIMES:
        _prime(part)
    if part.tag == "mo" and (part.text or "").isalpha() and len(part.text) > 1:  # \max, \operatorname{...}
        part.tag, part.attrib = "mi", {}
    if part.tag == "mover" and part[1].text == OVERLINE:  # few fonts have a bar that grows, so it is drawn
        del part[1]
        part.tag, part.attrib = "mrow", {"style": "border-top: 0.07em solid; padding-top: 0.1em"}
    elif part.tag == "mover" and part[1].text in ("~", "^", "¯"):
        part.set("accent", "true")
    if side := part.attrib.pop("columnalign", None):  # an attribute that browsers have dropped
        part.set("style", f"text-align: {side}; padding-{side}: 0")
    variant = part.attrib.pop("mathvariant", None)
    if variant == "normal" and len(part.text or "") == 1:
        part.set("mathvariant", "normal")  # the one that browsers know
    elif variant in STYLES:
        part.set("style", STYLES[variant])


def _prime(part):
    """A prime beside its letter: the sign is high and small already, and as an exponent it would be so twice."""
    letters, prime = list(part)[:-1], ElementTree.Element("mo", {"form": "postfix", "lspace": "0", "rspace": "0"})
    prime.text = "".join(part[-1].itertext())
    if len(letters) > 1:
        below = ElementTree.Element("msub")
        below.extend(letters)
        letters = [below]
    part.tag, part[:] = "mrow", [*letters, prime]


def _space(row):
    """A thin space around the name of a function that has no parentheses, as in log p(x)."""
    i = 0
    while i < len(row):
        if _is_name(row[i]):
            if i + 1 < len(row) and (row[i + 1].tag not in ("mo", "mspace") or row[i + 1].text in ("∥", "‖", "|")) and not _is_fence(row[i + 1]):
                row.insert(i + 1, ElementTree.Element("mspace", {"width": "0.167em"}))
            if i and (row[i - 1].tag not in ("mo", "mspace") or row[i - 1].text in CLOSING):
                row.insert(i, ElementTree.Element("mspace", {"width": "0.167em"}))
                i += 1
        i += 1


def _sign(row):
    """A minus or plus that begins something is that of a number: it leaves no space.  Browsers look only for the beginning of a row."""
    for i, part in enumerate(row):
        before = next((other for other in reversed(row[:i]) if not _is_thin(other)), None)
        begins = before is None or before.tag == "mspace" or (before.tag == "mo" and before.text not in CLOSING | set("!′"))
        if part.tag == "mo" and part.text in SIGNS and begins:
            part.attrib |= {"form": "prefix", "lspace": "0", "rspace": "0"}


def _is_thin(part):
    return part.tag == "mspace" and float(part.get("width", "0").removesuffix("em")) < WIDE


def _is_name(part):
    base = part[0] if part.tag in PARTS and part.tag not in ("mfrac", "mroot") else part
    return base.tag == "mi" and (base.text or "").isalpha() and len(base.text) > 1


def _is_fence(part):
    """Whether it begins with a parenthesis that grows, also one with an exponent."""
    return part.get("fence") == "true" or (len(part) > 0 and part.tag in (*PARTS, "mrow") and _is_fence(part[0]))


def _sign_of(part):
    """The sign of an operator or a parenthesis, also of one with an exponent or a prime; empty for anything else."""
    while _is_raised(part):
        part = part[0]
    return part.text or "" if part.tag == "mo" else ""


def _is_raised(part):
    """Whether it is something with an exponent, an index or a prime."""
    if part.tag == "mrow":
        return len(part) == 2 and set(part[1].text or ".") <= PRIMES
    return part.tag in PARTS and part.tag not in ("mfrac", "mroot")


def _equations(row):
    """The parts of a row as equations: lists of parts that a wide space separates, or a comma with any space where both sides have a relation."""
    found, depth = [[]], 0
    for i, part in enumerate(row):
        sign = _sign_of(part)
        depth = max(depth + (sign in OPENING) - (sign in CLOSING), 0)
        comma = part.tag == "mspace" and found[-1] and found[-1][-1].text == "," and _has_relation(found[-1]) and _has_relation(row[i:])
        if depth == 0 and part.tag == "mspace" and (comma or not _is_thin(part)):
            found.append([])
        else:
            found[-1].append(part)
    return [parts for parts in found if parts]


def _has_relation(parts):
    return any(_sign_of(part) in RELATIONS for part in parts)


def _pieces(parts, display):
    """An equation as elements between which a line may end: in groups where it is long, in one where it is not."""
    long = sum(len("".join(part.itertext())) for part in parts) > LONG[display]
    groups = _groups(parts) if long else [parts]
    return [_piece(group, display, first=i == 0) for i, group in enumerate(groups)]


def _groups(parts):
    """The parts of an equation in groups between which a line may end: before a relation or a sign outside all parentheses."""
    groups, depth, inside = [[]], 0, False
    for part in parts:
        sign, before = _sign_of(part), _sign_of(groups[-1][-1]) if groups[-1] else None
        depth = max(depth - (sign in CLOSING), 0)
        breaks = depth == 0 and not inside and part.tag == "mo" and (sign in RELATIONS or sign in SIGNS)
        if breaks and before is not None and (before in CLOSING or before in BARS or not before):
            groups.append([])
        groups[-1].append(part)
        depth += sign in OPENING
        inside ^= depth == 0 and sign in BARS
    return [group for group in groups if group]


def _piece(parts, display, first):
    """A group of parts as an element of its own: MathML, or a span of words alone."""
    if [part.tag for part in parts] == ["mtext"]:  # a line may end between words
        span = ElementTree.Element("span")
        span.text = parts[0].text.replace("\N{NO-BREAK SPACE}", " ")
        return span
    math = ElementTree.Element("math", {"displaystyle": "true"} if display else {})
    row = ElementTree.SubElement(math, "mrow")
    row.extend(parts)
    sign = parts[0].text if parts[0].tag == "mo" else None
    if not first and len(parts) > 1 and (sign in RELATIONS or sign in SIGNS):  # at the beginning it would lose the space on both sides
        width = "0.278em" if sign in RELATIONS else "0.222em"
        parts[0].attrib |= {"form": "infix", "lspace": "0", "rspace": "0"}
        row.insert(1, ElementTree.Element("mspace", {"width": width}))
        row.insert(0, ElementTree.Element("mspace", {"width": width}))
    return math


def _annotate(math, latex):
    """Keep the TeX source in the first piece, where readers of the page's source and programs that read it aloud look for it."""
    (row,) = math
    math.remove(row)
    semantics = ElementTree.SubElement(math, "semantics")
    semantics.append(row)
    ElementTree.SubElement(semantics, "annotation", {"encoding": "application/x-tex"}).text = " ".join(latex.split())
