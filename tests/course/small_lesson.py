"""A made-up lesson that has everything a page can show, for the tests of script, pages and notebook."""

EVIL = "</script><b>evil</b> & \\\\alpha"
LESSON = '''# %% [markdown]
# # Lesson 3: A small one
#
# **Goal.** Add numbers $a$ and $b$ until the sum is **4**, or $-\\log p(x)$.
#
# A second paragraph, the reader's: a *sum* is $a + b$.
#
# ## Picture
#
#     a --+
#         +--> sum   (a drawing in letters that is much wider than the screen of any telephone, and so must be scrolled sideways there)
#     b --+
#
# Numbers flow to the right.

# %% [markdown]
# ## Derivation
# 1. The sum is $c = a + b$, by $\\mathbb{E}_q[\\log q(z) - \\log p(z \\mid x)] + \\mathrm{KL}(q \\,\\|\\, p) = \\log p(x) - \\mathrm{ELBO}$.
# 2. Written out:
#
#    $$\\log p(x) = \\mathbb{E}_q[\\log p(x, z) - \\log q(z)] + \\mathbb{E}_q[\\log q(z) - \\log p(z \\mid x)] + \\sum_{n=1}^{N} \\frac{a_n}{b_n}$$
#
#    | term | meaning |
#    |---|---|
#    | $a$ | the first |

# %% Settings.  The short form: --fast.
from matplotlib.figure import Figure

from tinyae import course

lesson = course.begin(3)

# %% [markdown]
# ## Code
# Step 1, and a word <b>of HTML</b>.


# %% A function
@staticmethod
def add(a, b):
    """Step 1.

# %% this is no cell, it stands in a string: EVIL
    """
    return a + b


# %%
total = add(1, 1) + (0 if lesson.control else 2)
print("the total is", total, "& <more>")

# %% [markdown]
# ## Check
# Written before the run: the total is to be four units, because one and one are two, and two more are added to them by the
# lesson unless it is a control run; then they are left out. See `line.png`, and `microscope.html`.

# %%
lesson.predict("test.total", 4, "units")
lesson.claim("check.two", 1 + 1, "", at_least=2, at_most=2)
lesson.number("test.seed", lesson.seed, "")

# %% Measured, and drawn
lesson.number("test.total", total, "units", effect=True)
figure = Figure(figsize=(3, 2))
figure.subplots().plot([0, 1], [0, total])
lesson.figure(figure, "line.png", alt="A line from 0 to -4, at x from 0 to 1.")

# %% The end
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# Nothing.
#
# ## Exercises
# 1. **Do.** `multiply`: as it says.
#
# ## Conventions
# Loss = $-\\mathrm{ELBO}$.
#
# ## References
# - Nobody, 1900, Sums.
'''.replace("EVIL", EVIL)  # fmt: skip


def put(folder, text=LESSON, name="03_small.py"):
    """Write the lesson into a folder of lessons, with an exercise and bands.  Returns the script's path."""
    (folder / "exercises").mkdir(parents=True, exist_ok=True)
    (folder / "exercises" / name).write_text('"""An exercise."""\n')
    bands = {"bands": {"test.seed": [-0.5, 2], "test.total": [3.9, 4.1]}, "wall_seconds": [4.2, 4.4, 5.0]}
    (folder / name.replace(".py", ".bands.json")).write_text(__import__("json").dumps({"fast": bands, "full": bands}))
    (folder / name).write_text(text)
    return folder / name
