"""LaTeX as MathML, for pages that need no script; long formulas in pieces, for browsers break no line inside one."""

from xml.etree import ElementTree

OVERLINE = "\N{HORIZONTAL BAR}"  # what latex2mathml puts above an \\overline
SIGNS = ("+", "\N{MINUS SIGN}")
LONG = 36  # characters; a formula, or a sum in parentheses, of no more fits on a telephone


def to_mathml(latex, display=False):
    """The MathML element of a piece of LaTeX."""
    return ElementTree.tostring(tree_of(latex, display), encoding="unicode")


def tree_of(latex, display):
    """The same as a tree."""
    from latex2mathml.converter import convert

    spaced = latex.replace(r"\log\sigma", r"{\log\,\sigma}").replace(r"\_", "_")
    element = convert(spaced, display="block" if display else "inline")
    tree = ElementTree.fromstring(element.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    for mover in tree.iter("mover"):
        if mover[1].text == OVERLINE:  # few fonts have a bar that grows, so it is drawn
            mover.remove(mover[1])
            mover.tag, mover.attrib = "mrow", {"style": "border-top: 0.07em solid; padding-top: 0.1em"}
    for element in tree.iter("mtd"):  # the cases of a function
        element.set("style", "text-align: left")
    for element in tree.iter("mi"):
        if element.text == "@":  # the matrix product is an operator, with a space on both sides
            element.tag, element.attrib = "mo", {"form": "infix", "lspace": "0.22em", "rspace": "0.22em"}
    for element in tree.iter():
        if element.attrib.pop("mathvariant", None) == "bold":  # an attribute that browsers have dropped
            element.set("style", "font-weight: bold")
    return tree


def to_pieces(latex):
    """A displayed formula as MathML elements between which a line may end: a list of terms, each a list of factors.

    The left side with its = is the first term; a formula that is short is one piece.
    """
    tree = tree_of(latex, display=True)
    if len("".join(tree.itertext())) <= LONG:
        return [[ElementTree.tostring(tree, encoding="unicode")]]
    terms, depth, equals = [[[]]], 0, False
    for child, inside in _opened(tree[0]):
        text, last = child.text if child.tag == "mo" else None, terms[-1][-1]
        depth += 0 if "fence" in child.attrib else (text in ("(", "[")) - (text in (")", "]"))
        if depth == 0 and text in SIGNS and last and last[-1].text not in SIGNS and last[-1].get("form") != "prefix":
            child.set("form", "infix")  # at the beginning of a piece it would be taken for that of a number
            (terms[-1] if inside else terms).append([child] if inside else [[child]])
            continue
        between = not inside or (last and last[-1].text == ",")  # factors, and the arguments of a function, but not a term's factors
        last.append(child)
        if depth == 0 and text == "=" and not equals:
            equals = True
            terms.append([[]])
        elif depth == 0 and child.tag == "mspace" and between:
            terms[-1].append([])
    return [[_element(piece) for piece in term if piece] for term in terms]


def _opened(row):
    """The children of a row, each with whether it stands inside long parentheses, which are left out as a box of their own."""
    for child in row:
        if child.tag == "mrow" and len(child) and child[0].get("fence") and len("".join(child.itertext())) > LONG:
            yield from ((part, True) for part in child)
        else:
            yield child, False


def _element(row):
    element = ElementTree.Element("math", {"displaystyle": "true"})
    ElementTree.SubElement(element, "mrow").extend(row)
    return ElementTree.tostring(element, encoding="unicode")
