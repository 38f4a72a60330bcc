"""The drawings of the deterministic autoencoders, as tables.

All have one form, so that what differs is what is new: the data above on the left, the encoder goes down, the code lies below, the decoder goes up
to the reconstruction; what a term of the loss compares, points to it.  N is the batch, D the features, J the units of the code.  A drawing that
belongs to one lesson has the letters of that lesson, and every caption says what its letters are.
"""

from tinyae.figures.scene import Drawing, cells, code, data, layer, loss, network, noise, note, random

LEFT, MIDDLE, RIGHT, WIDTH = 104, 250, 396, 500
SHAPE = "(*N*, *D*)"
ENDS = {"x": data(LEFT, 40, f"*x*\n{SHAPE}", 92), "loss": loss(MIDDLE, 40, "‖*x* − *x̂*‖^{2}"), "reconstruction": data(RIGHT, 40, f"*x̂*\n{SHAPE}", 92)}
COMPARED = ("x => loss", "reconstruction => loss")
CHAIN = {**ENDS, "encoder": network(LEFT, 134, "encoder\n*f*"), "decoder": network(RIGHT, 134, "decoder\n*g*")}
LOOP = ("x -> encoder", "encoder:s -> code:w", "code:e -> decoder:s", "decoder -> reconstruction", *COMPARED)
PRIMED = {
    "x": data(LEFT, 40, f"*x*\n{SHAPE}", 92),
    "loss": loss(MIDDLE, 40, "|*x*′ − *x*|^{2}"),
    "reconstruction": data(RIGHT, 40, f"*x*′\n{SHAPE}", 92),
}  # the ends as lessons 2 and 3 write them
SQUARES = r"\lVert x - \hat{x} \rVert^2"

DRAWINGS = {
    "autoencoder": Drawing(
        "Autoencoder",
        (WIDTH, 272),
        {**CHAIN, "code": code(MIDDLE, 214, "*z*\n(*N*, *J*)", 92)},
        LOOP,
        "An autoencoder: *N* examples of *D* features in *x*, *J* units in the code *z*. The code has fewer units than the data have features, so "
        "the decoder *g* can only give back what the encoder *f* kept; *x̂* is the reconstruction.",
        "The data x go down through the encoder to the code z, and up through the decoder to the reconstruction. The loss, the squared distance of "
        "x and its reconstruction, compares both ends.",
        rf"\mathcal{{L}} = {SQUARES}, \quad \hat{{x}} = g(f(x))",
        ("box", "=>"),
    ),
    "linear_autoencoder": Drawing(
        "Linear autoencoder",
        (WIDTH, 306),
        {
            **PRIMED,
            "encoder": network(LEFT, 134, "*A*\n(*k*, *D*)"),
            "decoder": network(RIGHT, 134, "*B*\n(*D*, *k*)"),
            "code": code(MIDDLE, 214, "*z* = *A x*\n(*N*, *k*)", 104),
            "fact": note(MIDDLE, 264, "best: the columns of *B* span the first *k* axes of PCA"),
        },
        LOOP,
        "A linear autoencoder for *N* images of *D* pixels: a table *A* makes the *k* numbers of the code *z*, a table *B* makes the image *x′* "
        "from them, and nothing is between. At its best it is PCA, but its numbers are those along the axes only up to a table *M* that can be "
        "inverted: *B* times the inverse of *M*, and *M* *A*, give the same *x′*.",
        "As the autoencoder, but encoder and decoder are single matrices A and B without activation functions. At the minimum the columns of B span "
        "the first k axes of PCA.",
        r"\text{loss} = \text{mean of } |x' - x|^2, \quad x' = B A x",
        ("box", "=>"),
        new=("encoder", "decoder"),
    ),
    "deep_autoencoder": Drawing(
        "Deep autoencoder",
        (WIDTH, 346),
        {
            "x": data(LEFT, 40, f"*x*  {SHAPE}", 168, 40),
            "loss": loss(MIDDLE, 40, "|*x*′ − *x*|^{2}", 92),
            "reconstruction": data(RIGHT, 40, f"*x*′  {SHAPE}", 168, 40),
            "h1": layer(LEFT, 116, "tanh  (*N*, *H*_{1})", 146, 36),
            "h2": layer(LEFT, 190, "tanh  (*N*, *H*_{2})", 128, 36),
            "k1": layer(RIGHT, 116, "tanh  (*N*, *H*_{1})", 146, 36),
            "k2": layer(RIGHT, 190, "tanh  (*N*, *H*_{2})", 128, 36),
            "code": code(MIDDLE, 274, "*z*  (*N*, *k*)", 92, 40),
            "bottleneck": note(MIDDLE, 308, "bottleneck, linear"),
        },
        ("x -> h1 |> *W*_{1}", "h1 -> h2 |> *W*_{2}", "h2:s -> code:w |^ *W*_{3}", "code:e -> k2:s", "k2 -> k1", "k1 -> reconstruction", *COMPARED),
        "A deep autoencoder for *N* points of *D* numbers, with the weights *W* of its layers, hidden layers of *H*_{1} and *H*_{2} units, and a "
        "code *z* of *k* numbers. Both sides of the bottleneck are bent, so that the code can follow a curved surface where PCA follows a flat "
        "one. *h*_{1}, *h*_{2}: what the hidden layers give; *x′*: the output.",
        "Boxes that become narrower from the data x over two tanh layers to the code z, and wider again over two tanh layers to the output.",
        r"\text{loss} = \text{mean of } |x' - x|^2, \quad h_1 = \tanh(x W_1^T), \quad h_2 = \tanh(h_1 W_2^T), \quad z = h_2 W_3^T",
        ("box", "=>"),
        new=("h1", "h2", "k1", "k2"),
    ),
    "sparse_autoencoder": Drawing(
        "Sparse autoencoder",
        (WIDTH, 338),
        {
            **ENDS,
            "encoder": network(LEFT, 134, "encoder\nReLU", shape="widening"),
            "decoder": network(RIGHT, 134, "decoder\n*V*, unit columns", 164, shape="widening"),
            "code": cells(MIDDLE, 212, "..#.....#.......", 13),
            "shape": note(MIDDLE, 236, "*z*, (*N*, *J*): most units are 0"),
            "sparsity": loss(MIDDLE, 286, "*λ* Σ_{*j*} |*z*_{*j*}|"),
        },
        (*LOOP, "shape => sparsity"),
        "A sparse autoencoder. The code *z* may be wider than the data *x*; what limits it is that few units may be on for one image, at the "
        "price *λ*. The columns of the decoder *V* have length one: else the decoder grows, the code shrinks, and the penalty is cheated. *N* "
        "examples, *D* features, *J* units.",
        "As the autoencoder, but the encoder widens to a code of many units drawn as a row of cells, of which two are filled. A second term of the "
        "loss, lambda times the sum of the absolute values of the code, points to it.",
        rf"\mathcal{{L}} = {SQUARES} + \lambda \sum_j |z_j|, \quad \lVert v_j \rVert = 1",
        ("box", "=>"),
        new=("sparsity", "encoder", "decoder"),
    ),
    "sparse_features": Drawing(
        "Features in superposition",
        (WIDTH, 500),
        {
            "truth": note(LEFT + 6, 17, "true features *f*, (*N*, 32)"),
            "features": cells(LEFT, 38, ".#.....#....", 13, "discrete-line"),
            "D": layer(LEFT, 98, "*D*\n(16, 32)", 92, 50),
            "x": data(LEFT, 188, "*x* = *D f*\n(*N*, 16)", 100),
            "loss": loss(MIDDLE, 188, "‖*x* − *W h*‖^{2}", 120),
            "reconstruction": data(RIGHT, 188, "*W h*\n(*N*, 16)", 92),
            "encoder": network(LEFT, 282, "encoder\nrelu(*E x* + *t*)", 160, shape="widening"),
            "decoder": network(RIGHT, 282, "dictionary\n*W*, unit columns", 164, shape="widening"),
            "code": cells(MIDDLE, 362, "...#.........#......", 13),
            "shape": note(MIDDLE, 386, "code *h*, (*N*, 64)"),
            "sparsity": loss(MIDDLE, 442, "*λ* Σ_{*i*} |*h*_{*i*}|"),
        },
        ("features -> D", "D -> x", *LOOP, "shape => sparsity", "D:e .. decoder:e-14 |^ the same columns?"),
        "32 sparse features *f* lie in 16 dimensions, so that their directions, the columns of *D*, cannot be at right angles. The autoencoder "
        "sees *N* points *x* only: weights *E* and thresholds *t* make a code *h* of 64 numbers, a dictionary *W* makes *x* of it, and *λ* is the "
        "price of the code. The question is whether *W* holds the directions of *D*.",
        "Twelve cells stand for the true features, two of them on; an unknown matrix D mixes them to the data x. A sparse autoencoder with a code "
        "wider than the features reconstructs x; its dictionary W is compared with D.",
        r"\text{loss} = \lVert x - W h \rVert^2 + \lambda \sum_i |h_i|, \quad x = D f",
        ("box", "=>"),
        new=("D",),
        against="the sparse autoencoder",
    ),
    "denoising": Drawing(
        "Denoising autoencoder",
        (WIDTH, 384),
        {
            **ENDS,
            "loss": loss(MIDDLE, 40, "(*x* − *r*(*y*))^{2}"),
            "reconstruction": data(RIGHT, 40, f"*r*(*y*)\n{SHAPE}", 92),
            "noise": noise(MIDDLE, 126, "*n*"),
            "corrupted": random(LEFT, 126, "*y*"),
            "encoder": network(LEFT, 222, "encoder"),
            "decoder": network(RIGHT, 222, "decoder"),
            "code": code(MIDDLE, 300, "code", 92),
            "score": note(MIDDLE, 346, "normal noise, no bottleneck:  (*r*(*y*) − *y*) / *s*^{2}  ≈  (log *p*_{*s*})′(*y*)"),
        },
        ("x -> corrupted", "noise --> corrupted |^ *x* + *s n*", "corrupted -> encoder", *LOOP[1:]),
        "A denoiser *r* sees *y*, which is *x* with noise *n* of size *s*, and is compared with the clean *x*. With normal noise its best step, "
        "*r*(*y*) minus *y*, divided by the square of *s*, is the score: the slope of the logarithm of the density of *y*, *p*_{*s*}. *E*: the "
        "mean. *N* points of *D* numbers.",
        "Noise n is added to the data x; the noisy copy y goes through encoder, code and decoder, and the result r(y) is compared with the clean x.",
        r"\text{loss} = E (x - r(y))^2, \quad y = x + s n",
        ("circle", "-->", "box", "=>"),
        new=("noise", "corrupted"),
    ),
    "contractive": Drawing(
        "Contractive autoencoder",
        (WIDTH, 340),
        {
            **CHAIN,
            "jacobian": layer(MIDDLE, 134, "*J*_{*f*} = ∂*z* / ∂*x*", 112, 40),
            "penalty": loss(MIDDLE, 208, "*λ* ‖*J*_{*f*}‖^{2}", 112),
            "code": code(MIDDLE, 282, "*z*\n(*N*, *J*)", 92),
        },
        ("encoder -> jacobian", "jacobian => penalty", *LOOP),
        "A contractive autoencoder: the code *z* must not move much when *x* moves. The penalty, at the price *λ*, is the sum of the squared "
        "entries of the Jacobian of the encoder *f*; only what the reconstruction needs stays sensitive. *N* examples, *D* features, *J* units of "
        "the code.",
        "As the autoencoder, with a second path: the Jacobian of the encoder, and lambda times the sum of its squared entries as a term of the loss.",
        rf"\mathcal{{L}} = {SQUARES} + \lambda \left\lVert \frac{{\partial f}}{{\partial x}} \right\rVert_F^2",
        ("box", "=>"),
        new=("jacobian", "penalty"),
    ),
}
