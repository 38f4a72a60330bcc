"""The drawings of the deterministic autoencoders, as tables.

All have one form, so that what differs is what is new: the data above on the left, the encoder goes down, the code lies below, the decoder goes up
to the reconstruction; what a term of the loss compares, points to it.  N is the batch, D the features, J the units of the code.
"""

from tinyae.figures.scene import Drawing, cells, code, data, layer, loss, network, noise, note, random

LEFT, MIDDLE, RIGHT, WIDTH = 104, 250, 396, 500
SHAPE = "(*N*, *D*)"
ENDS = {"x": data(LEFT, 40, f"*x*\n{SHAPE}", 92), "loss": loss(MIDDLE, 40, "‖*x* − *x̂*‖^{2}"), "reconstruction": data(RIGHT, 40, f"*x̂*\n{SHAPE}", 92)}
COMPARED = ("x => loss", "reconstruction => loss")
CHAIN = {**ENDS, "encoder": network(LEFT, 134, "encoder\n*f*"), "decoder": network(RIGHT, 134, "decoder\n*g*")}
LOOP = ("x -> encoder", "encoder:s -> code:w", "code:e -> decoder:s", "decoder -> reconstruction", *COMPARED)
SQUARES = r"\lVert x - \hat{x} \rVert^2"

DRAWINGS = {
    "autoencoder": Drawing(
        "Autoencoder",
        (WIDTH, 272),
        {**CHAIN, "code": code(MIDDLE, 214, "*z*\n(*N*, *J*)", 92)},
        LOOP,
        "An autoencoder. The code z has fewer units than the data have features: the decoder can only give back what the encoder kept.",
        "The data x go down through the encoder to the code z, and up through the decoder to the reconstruction. The loss, the squared distance of "
        "x and its reconstruction, compares both ends.",
        rf"\mathcal{{L}} = {SQUARES}, \quad \hat{{x}} = g(f(x))",
        ("box", "=>"),
    ),
    "linear_autoencoder": Drawing(
        "Linear autoencoder",
        (WIDTH, 306),
        {
            **ENDS,
            "encoder": network(LEFT, 134, "*W*\n(*J*, *D*)"),
            "decoder": network(RIGHT, 134, "*V*\n(*D*, *J*)"),
            "code": code(MIDDLE, 214, "*z* = *W x*\n(*N*, *J*)", 104),
            "fact": note(MIDDLE, 264, "best: the columns of *V* span the first *J* principal axes"),
        },
        LOOP,
        "A linear autoencoder: two matrices and nothing between them. At its best it is PCA, but its units are the principal axes only up to an "
        "invertible map A, for V A and the inverse of A times W give the same reconstruction.",
        "As the autoencoder, but encoder and decoder are single matrices W and V without activation functions. At the minimum the columns of V span "
        "the first J principal axes.",
        rf"\mathcal{{L}} = {SQUARES}, \quad \hat{{x}} = V W x",
        ("box", "=>"),
        new=("encoder", "decoder"),
    ),
    "deep_autoencoder": Drawing(
        "Deep autoencoder",
        (WIDTH, 346),
        {
            "x": data(LEFT, 40, f"*x*  {SHAPE}", 168, 40),
            "loss": loss(MIDDLE, 40, "‖*x* − *x̂*‖^{2}", 92),
            "reconstruction": data(RIGHT, 40, f"*x̂*  {SHAPE}", 168, 40),
            "h1": layer(LEFT, 116, "tanh  (*N*, *H*_{1})", 146, 36),
            "h2": layer(LEFT, 190, "tanh  (*N*, *H*_{2})", 128, 36),
            "k1": layer(RIGHT, 116, "tanh  (*N*, *H*_{1})", 146, 36),
            "k2": layer(RIGHT, 190, "tanh  (*N*, *H*_{2})", 128, 36),
            "code": code(MIDDLE, 274, "*z*  (*N*, *J*)", 92, 40),
            "bottleneck": note(MIDDLE, 308, "bottleneck, linear"),
        },
        (
            "x -> h1 |> *W*_{1}, *b*_{1}",
            "h1 -> h2 |> *W*_{2}, *b*_{2}",
            "h2:s -> code:w",
            "code:e -> k2:s",
            "k2 -> k1",
            "k1 -> reconstruction",
            *COMPARED,
        ),
        "A deep autoencoder: layers with a nonlinearity on both sides of the bottleneck, so that the code can follow a curved surface where PCA "
        "follows a flat one.",
        "Boxes that become narrower from the data x over two tanh layers to the code z, and wider again over two tanh layers to the reconstruction.",
        rf"\mathcal{{L}} = {SQUARES}, \quad z = W_3 \tanh(W_2 \tanh(W_1 x))",
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
        "A sparse autoencoder. The code may be wider than the data; what limits it is that few units may be on for one image. The columns of V have "
        "length one: else the decoder grows, the code shrinks, and the penalty is cheated.",
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
            "truth": note(LEFT + 6, 17, "true features *s*, (*N*, *M*)"),
            "features": cells(LEFT, 38, ".#.....#....", 13, "discrete-line"),
            "G": layer(LEFT, 98, "*G*\n(*D*, *M*)", 92, 50),
            "x": data(LEFT, 188, f"*x* = *G s*\n{SHAPE}", 100),
            "loss": loss(MIDDLE, 188, "‖*x* − *x̂*‖^{2}", 110),
            "reconstruction": data(RIGHT, 188, f"*x̂*\n{SHAPE}", 92),
            "encoder": network(LEFT, 282, "encoder\nReLU", shape="widening"),
            "decoder": network(RIGHT, 282, "dictionary\n*V*, unit columns", 164, shape="widening"),
            "code": cells(MIDDLE, 362, "...#.........#......", 13),
            "shape": note(MIDDLE, 386, "*z*, (*N*, *K*),  *K* > *M* > *D*"),
            "sparsity": loss(MIDDLE, 442, "*λ* Σ_{*k*} |*z*_{*k*}|"),
        },
        ("features -> G", "G -> x", *LOOP, "shape => sparsity", "G:e .. decoder:e-14 |^ the same columns?"),
        "Features in superposition: M sparse features lie in D dimensions, M larger than D, so that their directions, the columns of G, cannot be "
        "orthogonal. A wide sparse autoencoder sees x only; the question is whether its dictionary holds the same directions.",
        "Twelve true features, two of them on, are mixed by an unknown matrix G to the data x. A sparse autoencoder with a code wider than the "
        "features reconstructs x; its dictionary V is compared with G.",
        rf"\mathcal{{L}} = {SQUARES} + \lambda \sum_k |z_k|, \quad x = G s",
        ("box", "=>"),
        new=("G",),
        against="the sparse autoencoder",
    ),
    "denoising": Drawing(
        "Denoising autoencoder",
        (WIDTH, 384),
        {
            **ENDS,
            "noise": noise(MIDDLE, 126, "*ε*"),
            "corrupted": random(LEFT, 126, "*x̃*"),
            "encoder": network(LEFT, 222, "encoder\n*f*"),
            "decoder": network(RIGHT, 222, "decoder\n*g*"),
            "code": code(MIDDLE, 300, "*z*\n(*N*, *J*)", 92),
            "score": note(MIDDLE, 346, "Gaussian noise, no bottleneck:  (*x̂* − *x̃*) / *σ*^{2}  ≈  ∇ log *p*_{*σ*}(*x̃*)"),
        },
        ("x -> corrupted", "noise --> corrupted |^ *x* + *σ ε*", "corrupted -> encoder", *LOOP[1:]),
        "A denoising autoencoder sees a corrupted copy of x and is compared with the clean one. With Gaussian noise its best step, divided by the "
        "variance of the noise, is the score: the gradient of the log-density of the corrupted data.",
        "Noise epsilon is added to the data x; the corrupted copy goes through encoder, code and decoder, and the reconstruction is compared with "
        "the clean x.",
        r"\mathcal{L} = \mathbb{E}_{\tilde{x}}\, \lVert x - g(f(\tilde{x})) \rVert^2, \quad \tilde{x} = x + \sigma \varepsilon",
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
        "A contractive autoencoder: the code must not move much when x moves. The penalty is the sum of the squared entries of the Jacobian of the "
        "encoder; only what the reconstruction needs stays sensitive.",
        "As the autoencoder, with a second path: the Jacobian of the encoder, and lambda times the sum of its squared entries as a term of the loss.",
        rf"\mathcal{{L}} = {SQUARES} + \lambda \left\lVert \frac{{\partial f}}{{\partial x}} \right\rVert_F^2",
        ("box", "=>"),
        new=("jacobian", "penalty"),
    ),
}
