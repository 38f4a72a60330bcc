"""The prose of a lesson: Markdown as HTML in sections, its formulas as MathML, and the same as plain text for the search."""

import functools
import re
import textwrap
from typing import NamedTuple

from markupsafe import Markup, escape

from tinyae.course.formulas import to_html, to_text
from tinyae.errors import ArgumentError

PIECE = r'<span class="term"><math[^>]*>(?:(?!<math).)*?</math></span>'
KEPT = re.compile(rf"([(\[“‘]*)({PIECE})((?:[-,.;:!?)\]’”]|\w)[^\s<]*)?", re.DOTALL)  # a formula with what stands against it
FORMULAS = {"math_inline": False, "math_inline_double": True, "math_block": True}  # kind of token: whether it is displayed


class Part(NamedTuple):
    """A piece of prose under one heading.  title: that of its section where it begins one, else None.  text: what the search looks through.

    letters: the drawing in letters with which it begins, empty where it does not; `html` is the rest.
    """

    title: str | None
    html: Markup
    text: str
    letters: Markup = Markup()


def parts(cell, lesson):
    """The Parts of a markdown cell, in order; the first heading of the lesson (# ...) is left out, it is the title of the page.

    lesson: what an error names, beside the line.  Raises ArgumentError for a formula that does not convert, and for a stray $ or backslash.
    """
    markdown = _markdown()
    tokens = markdown.parse(cell.text)
    for token, line in _inline(tokens, cell.first):
        _check(token, f"{lesson}, line {line}")
    found, title, begun = [], None, []
    for i, token in enumerate(tokens):
        level = token.tag if token.type == "heading_open" and token.level == 0 else None
        if level in ("h1", "h2"):
            found.append((title, begun))
            title, begun = (tokens[i + 1].content if level == "h2" else None), []
        elif not (token.type in ("inline", "heading_close") and _in_heading(tokens, i)):
            begun.append(token)
    found.append((title, begun))
    return [_part(markdown, title, begun) for title, begun in found if title or begun]


def inline(text, lesson):
    """One line of Markdown as HTML, without a paragraph around it."""
    markdown = _markdown()
    tokens = markdown.parseInline(text)
    for token, _ in _inline(tokens, 0):
        _check(token, lesson)
    return _html(markdown, tokens)


def plain(text, lesson):
    """One line of Markdown as plain text."""
    return _text(_markdown().parseInline(text), lesson)


def goal(script):
    """The sentences after **Goal.** in a script, as Markdown on one line; empty where there are none."""
    for cell in script.cells:
        if cell.kind == "markdown" and (found := re.search(r"\*\*Goal\.\*\*\s+(.+?)(?:\n\s*\n|\n## |\Z)", cell.text, re.DOTALL)):
            return " ".join(found[1].split())
    return ""


def slug(title):
    """The name of a section in an address."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@functools.cache
def _markdown():
    """The parser: CommonMark with tables and formulas, no HTML of its own, and quotation marks as they are printed."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    markdown = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable(["table", "smartquotes"])
    dollarmath_plugin(markdown, allow_labels=False, allow_blank_lines=False, double_inline=True)
    for kind in FORMULAS:
        markdown.add_render_rule(kind, _formula)
    markdown.add_render_rule("code_block", _drawing)
    return markdown


def _formula(renderer, tokens, index, options, env):
    token = tokens[index]
    html = to_html(token.content, FORMULAS[token.type], "a formula")
    return f"<p>{html}</p>\n" if token.type == "math_block" else html


def _drawing(renderer, tokens, index, options, env):
    """What is indented is a drawing in letters."""
    text = textwrap.dedent(tokens[index].content).rstrip()
    columns = max(map(len, text.split("\n")))
    return f'<div class="fit"><pre class="drawing wide" style="--columns: {columns}">{escape(text)}</pre></div>\n'


def _in_heading(tokens, i):
    """Whether the token is inside of, or closes, a heading that opens a section or is the title."""
    opened = tokens[i - 1] if tokens[i].type == "inline" else tokens[i - 2]
    return opened.type == "heading_open" and opened.level == 0 and opened.tag in ("h1", "h2")


def _inline(tokens, first):
    """(token, line) of everything that is text or formula; `first` is the line of the script where the cell begins."""
    for token in tokens:
        line = first + (token.map[0] if token.map else 0)
        if token.type != "inline":
            yield token, line
            continue
        for child in token.children:
            yield child, line
            line += 1 if child.type in ("softbreak", "hardbreak") else child.content.count("\n") if child.type in FORMULAS else 0


def _check(token, where):
    """Raise ArgumentError for a formula that does not convert, and for signs of one outside of all."""
    if token.type in FORMULAS:
        to_html(token.content, FORMULAS[token.type], where)
    elif token.type == "text" and re.search(r"[$\\]", token.content):
        rule = f"{where}: a $ or a backslash that belongs to no formula."
        raise ArgumentError(rule, got=token.content, remedy="$...$ in a line, $$...$$ on a line of its own, `...` for code")


def _part(markdown, title, tokens):
    letters = tokens[:1] if tokens and tokens[0].type == "code_block" else []
    return Part(title, _html(markdown, tokens[len(letters) :]), _text(tokens, "a formula"), _html(markdown, letters))


def _html(markdown, tokens):
    """The tokens as HTML.  A line may end beside a formula, but not between it and a comma."""
    html = markdown.renderer.render(tokens, markdown.options, {})
    return Markup(KEPT.sub(lambda found: f'<span class="kept">{found[0]}</span>' if found[1] or found[3] else found[0], html))


def _text(tokens, where):
    """The words of the prose, on one line; drawings are left out."""
    words = []
    for token, _ in _inline(tokens, 0):
        if token.type in FORMULAS:
            words.append(to_text(token.content, where))
        elif token.type in ("softbreak", "hardbreak", "paragraph_close", "list_item_close"):
            words.append(" ")
        elif token.type in ("text", "code_inline"):
            words.append(token.content)
    return " ".join("".join(words).split())
