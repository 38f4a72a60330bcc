# ruff: noqa: E501
"""Right answers to the exercises in other styles than the solutions: loops, einsum, other decompositions, Tensors, lists of results.

Each entry: number of the lesson, function, style, source.  All must pass: a check that rejects one is unjust.
"""

ANSWERS = (
    (
        0,
        "gradient_error",
        "flat loop, python floats",
        """
def gradient_error(f, backward, x, cotangent, step):
    slopes = []
    for i in range(x.size):
        e = np.zeros(x.size); e[i] = step
        e = e.reshape(x.shape)
        slopes.append(float(np.sum(cotangent * f(x + e)) - np.sum(cotangent * f(x - e))) / (2 * step))
    g = np.asarray(backward(cotangent, x)).ravel()
    return max(abs(a - b) for a, b in zip(g.tolist(), slopes)) / max(abs(b) for b in slopes)
""",
    ),
    (
        0,
        "gradient_error",
        "copy and write, nditer",
        """
def gradient_error(f, backward, x, cotangent, step):
    numeric = np.empty(x.shape)
    it = np.nditer(x, flags=["multi_index"])
    while not it.finished:
        i = it.multi_index
        hi, lo = x.copy(), x.copy()
        hi[i] += step
        lo[i] -= step
        numeric[i] = np.vdot(cotangent, (f(hi) - f(lo)) / (2 * step))
        it.iternext()
    analytic = backward(cotangent, x)
    return np.max(np.abs(analytic - numeric)) / np.max(np.abs(numeric))
""",
    ),
    (
        0,
        "wrong_softmax_rule",
        "the diagonal term alone, centred",
        """
def wrong_softmax_rule(gy, y):
    return gy - np.mean(gy, axis=1)[:, None]
""",
    ),
    (
        0,
        "wrong_softmax_rule",
        "differences of neighbours, loops",
        """
def wrong_softmax_rule(gy, y):
    out = np.zeros_like(y)
    for n in range(y.shape[0]):
        for k in range(y.shape[1]):
            out[n, k] = y[n, k] * (gy[n, k] - gy[n, k - 1])
    return out
""",
    ),
    (
        0,
        "wrong_softmax_rule",
        "twice the right rule",
        """
def wrong_softmax_rule(gy, y):
    return 2 * y * (gy - np.einsum("nk,nk->n", gy, y)[:, None])
""",
    ),
    (
        0,
        "total_probability",
        "one image at a time, as (1, D)",
        """
def total_probability(log_likelihood, logits):
    total = 0.0
    for number in range(2 ** len(logits)):
        image = np.array([[float(number >> i & 1) for i in range(len(logits))]])
        total += float(np.exp(log_likelihood(logits, image))[0])
    return total
""",
    ),
    (
        0,
        "total_probability",
        "integer images, indices",
        """
def total_probability(log_likelihood, logits):
    images = np.indices((2,) * len(logits)).reshape(len(logits), -1).T
    return float(np.sum(np.exp(log_likelihood(logits, images))))
""",
    ),
    (
        0,
        "total_probability",
        "logsumexp, booleans",
        """
def total_probability(log_likelihood, logits):
    d = logits.size
    images = (np.arange(2**d)[:, None] >> np.arange(d) & 1).astype(np.float64)
    return np.exp(np.logaddexp.reduce(log_likelihood(logits, images)))
""",
    ),
    (
        1,
        "normalise_backward",
        "jacobians in loops",
        """
def normalise_backward(gy, x):
    out = np.zeros(x.shape)
    for n in range(len(x)):
        r = np.linalg.norm(x[n])
        J = np.eye(x.shape[1]) / r - np.outer(x[n], x[n]) / r**3
        out[n] = J @ gy[n]
    return out
""",
    ),
    (
        1,
        "normalise_backward",
        "tinyae Tensor",
        """
import tinyae as ta
def normalise_backward(gy, x):
    t = ta.Tensor(x, requires_grad=True)
    y = t * (t * t).sum(axis=1, keepdims=True) ** -0.5
    (y * gy).sum().backward()
    return t.grad.data if hasattr(t.grad, "data") and not isinstance(t.grad, np.ndarray) else t.grad
""",
    ),
    (
        1,
        "hiding_cotangent",
        "null space by SVD",
        """
def hiding_cotangent(n):
    g = np.zeros(n.shape)
    for h in range(n.shape[1]):
        A = np.stack([np.ones(len(n)), n[:, h]])
        g[:, h] = np.linalg.svd(A)[2][-1]
    return g
""",
    ),
    (
        1,
        "hiding_cotangent",
        "squares of n, less its fit by lstsq",
        """
def hiding_cotangent(n):
    cols = []
    for h in range(n.shape[1]):
        A = np.c_[np.ones(len(n)), n[:, h]]
        t = np.cos(np.arange(len(n)) * 1.7) + np.arange(len(n))**2
        cols.append(t - A @ np.linalg.lstsq(A, t, rcond=None)[0])
    return np.array(cols).T
""",
    ),
    (
        1,
        "hiding_cotangent",
        "tiny cotangent times 1e-3",
        """
def hiding_cotangent(n):
    Q = np.random.default_rng(0).normal(size=n.shape)
    Q = Q - Q.mean(0)
    Q = Q - n * (Q * n).mean(0)
    return 1e-3 * Q
""",
    ),
    (
        1,
        "tied_gradients",
        "einsum and probabilities",
        """
def tied_gradients(x, W, b, c):
    N = x.shape[0]
    h = np.tanh(np.einsum("nd,hd->nh", x, W) + b)
    a = np.einsum("nh,hd->nd", h, W) + c
    p = 1 / (1 + np.exp(-a))
    loss = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p)) / N
    da = (p - x) / N
    dt = np.einsum("nd,hd->nh", da, W) * (1 - h * h)
    return loss, np.einsum("nh,nd->hd", h, da) + np.einsum("nh,nd->hd", dt, x), dt.sum(0), da.sum(0)
""",
    ),
    (
        1,
        "tied_gradients",
        "loops, a list of results",
        """
def tied_gradients(x, W, b, c):
    N = len(x)
    loss, gW, gb, gc = 0.0, np.zeros(W.shape), np.zeros(b.shape), np.zeros(c.shape)
    for i in range(N):
        h = np.tanh(W @ x[i] + b)
        a = W.T @ h + c
        loss += sum(np.log1p(np.exp(v)) - t * v for v, t in zip(a, x[i])) / N
        ga = (1 / (1 + np.exp(-a)) - x[i]) / N
        gt = (W @ ga) * (1 - h**2)
        gW += np.outer(gt, x[i]) + np.outer(h, ga)
        gb += gt
        gc += ga
    return [loss, gW, gb, gc]
""",
    ),
    (
        2,
        "weighted_gradients",
        "diag matrices",
        """
def weighted_gradients(covariance, encoder, decoder, weight):
    D = np.diag(weight)
    A, B, C = encoder, decoder, covariance
    return 2 * B.T @ D @ (B @ A @ C - C), 2 * D @ (B @ A @ C @ A.T - C @ A.T)
""",
    ),
    (
        2,
        "weighted_gradients",
        "images from a Cholesky root, sum over images",
        """
def weighted_gradients(covariance, encoder, decoder, weight):
    w, v = np.linalg.eigh(covariance)
    X = (v * np.sqrt(np.maximum(w, 0))).T
    gA, gB = np.zeros(encoder.shape), np.zeros(decoder.shape)
    for x in X:
        r = decoder @ encoder @ x - x
        gB += 2 * np.outer(weight * r, encoder @ x)
        gA += 2 * np.outer(decoder.T @ (weight * r), x)
    return gA, gB
""",
    ),
    (
        2,
        "wrong_stop",
        "svd, worst axes, scaled pair",
        """
def wrong_stop(covariance, k):
    U = np.linalg.svd(covariance)[0][:, -k:]
    return U.T / 2, U * 2
""",
    ),
    (
        2,
        "wrong_stop",
        "skip the first axis, a list",
        """
def wrong_stop(covariance, k):
    w, v = np.linalg.eig(covariance)
    v = v[:, np.argsort(-w)]
    return [v[:, 1:k + 1].T, v[:, 1:k + 1]]
""",
    ),
    (
        2,
        "least_loss_with_decay",
        "loop with ifs",
        """
def least_loss_with_decay(eigenvalues, k, decay):
    total = 0
    for i, value in enumerate(eigenvalues):
        if i >= k or value <= decay:
            total += value
        else:
            m = 1 - decay / value
            total += value * (1 - m) ** 2 + 2 * decay * m
    return total
""",
    ),
    (
        2,
        "least_loss_with_decay",
        "closed form min",
        """
def least_loss_with_decay(eigenvalues, k, decay):
    kept = eigenvalues[:k]
    return np.where(kept > decay, 2 * decay - decay**2 / kept, kept).sum() + eigenvalues[k:].sum()
""",
    ),
    (
        2,
        "least_loss_with_decay",
        "an array of no axes",
        """
def least_loss_with_decay(eigenvalues, k, decay):
    e = eigenvalues[:k]
    s = np.sqrt(np.maximum(e - decay, 0) / e)
    return np.array((e * (1 - s * s) ** 2 + decay * 2 * s * s).sum() + eigenvalues[k:].sum())
""",
    ),
    (
        3,
        "leaky_backward",
        "slopes as masks, tuples of gradients",
        """
def leaky_backward(x, weights, biases, g):
    h, cache = x, []
    for W, b in zip(weights, biases):
        t = np.einsum("ni,oi->no", h, W) + b
        s = 0.1 + 0.9 * (t > 0)
        cache.append((h, s))
        h = s * t
    gW, gb = [None] * len(weights), [None] * len(weights)
    for l in range(len(weights) - 1, -1, -1):
        h, s = cache[l]
        g = g * s
        gW[l], gb[l] = np.einsum("no,ni->oi", g, h), np.einsum("no->o", g)
        g = g.dot(weights[l])
    return tuple(gW), tuple(gb), g
""",
    ),
    (
        3,
        "leaky_backward",
        "tinyae Tensors",
        """
import tinyae as ta
from tinyae import ops
def leaky_backward(x, weights, biases, g):
    X = ta.Tensor(x, requires_grad=True)
    Ws = [ta.Tensor(w, requires_grad=True) for w in weights]
    bs = [ta.Tensor(w, requires_grad=True) for w in biases]
    h = X
    for W, b in zip(Ws, bs):
        h = ops.leaky_relu(h @ W.T + b, slope=0.1)
    (h * g).sum().backward()
    raw = lambda t: np.asarray(t.grad if isinstance(t.grad, np.ndarray) else t.grad.data)
    return [raw(w) for w in Ws], [raw(b) for b in bs], raw(X)
""",
    ),
    (
        3,
        "dead_network",
        "huge negative bias, negative weights",
        """
def dead_network(x, width):
    n, d = x.shape
    return np.full((width, d), 0.5), np.full(width, -1e6), -np.ones((d, width)), np.zeros(d)
""",
    ),
    (
        3,
        "dead_network",
        "W1 small, b from abs, a list",
        """
def dead_network(x, width):
    d = x.shape[1]
    W1 = 0.01 * np.ones((width, d))
    return [W1, -np.abs(x).sum() * np.ones(width), np.ones((d, width)), -x.mean(axis=0)]
""",
    ),
    (
        3,
        "weight_variance",
        "logs",
        """
import math
def weight_variance(width, depth, slope, ratio):
    rho2 = math.exp(2 * math.log(ratio) / depth)
    return 2 * rho2 / (1 + slope * slope) / width
""",
    ),
    (
        4,
        "elastic_code",
        "where",
        """
def elastic_code(a, price, ridge):
    plus = (a - price / 2) / (1 + ridge)
    minus = (a + price / 2) / (1 + ridge)
    return np.where(plus > 0, plus, np.where(minus < 0, minus, 0))
""",
    ),
    (
        4,
        "elastic_code",
        "a loop",
        """
def elastic_code(a, price, ridge):
    h = a.copy()
    for i in np.ndindex(a.shape):
        s = 1 if a[i] > 0 else -1
        h[i] = s * max(s * a[i] - price / 2, 0) / (1 + ridge)
    return h
""",
    ),
    (
        4,
        "cheat",
        "a list, new arrays by loops",
        """
def cheat(weights, thresholds, dictionary, factor):
    return [np.array([row / factor for row in weights]), thresholds * (1 / factor), np.array([[v * factor for v in row] for row in dictionary])]
""",
    ),
    (
        4,
        "cheat",
        "units permuted",
        """
def cheat(weights, thresholds, dictionary, factor):
    return (weights / factor)[::-1], (thresholds / factor)[::-1], (dictionary * factor)[:, ::-1]
""",
    ),
    (
        4,
        "refit",
        "lstsq",
        """
def refit(x, dictionary, codes):
    out = np.zeros_like(codes)
    for i in range(len(x)):
        on = np.flatnonzero(codes[i] > 0)
        if len(on):
            out[i, on] = np.linalg.lstsq(dictionary[:, on], x[i], rcond=None)[0]
    return out
""",
    ),
    (
        4,
        "refit",
        "normal equations",
        """
def refit(x, dictionary, codes):
    out = 0 * codes
    for i, (p, c) in enumerate(zip(x, codes)):
        on = c > 0
        A = dictionary[:, on]
        out[i, on] = np.linalg.solve(A.T @ A, A.T @ p)
    return out
""",
    ),
    (
        4,
        "refit",
        "masked pinv of the whole dictionary",
        """
def refit(x, dictionary, codes):
    masked = dictionary[None] * (codes > 0)[:, None, :]
    return np.einsum("nfd,nd->nf", np.linalg.pinv(masked), x)
""",
    ),
    (
        5,
        "denoise_two_points",
        "naive weights",
        """
def denoise_two_points(y, a, s, probability):
    u = probability * np.exp(-((y - a) ** 2) / (2 * s**2))
    v = (1 - probability) * np.exp(-((y + a) ** 2) / (2 * s**2))
    return a * (u - v) / (u + v)
""",
    ),
    (
        5,
        "denoise_two_points",
        "normal densities in a list comprehension",
        """
import math
def denoise_two_points(y, a, s, probability):
    def p(t): return math.exp(-t * t / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
    return np.array([(a * probability * p(v - a) - a * (1 - probability) * p(v + a)) / (probability * p(v - a) + (1 - probability) * p(v + a)) for v in y])
""",
    ),
    (
        5,
        "memorise",
        "loops",
        """
def memorise(noisy, data, s):
    out = np.zeros(noisy.shape)
    for i, y in enumerate(noisy):
        d2 = np.array([np.dot(y - x, y - x) for x in data])
        w = np.exp(-(d2 - d2.min()) / (2 * s * s))
        w /= w.sum()
        out[i] = sum(a * x for a, x in zip(w, data))
    return out
""",
    ),
    (
        5,
        "memorise",
        "expanded squares and logsumexp",
        """
def memorise(noisy, data, s):
    d2 = (noisy**2).sum(1)[:, None] + (data**2).sum(1)[None] - 2 * noisy @ data.T
    l = -d2 / (2 * s**2)
    return np.exp(l - np.logaddexp.reduce(l, axis=1)[:, None]) @ data
""",
    ),
    (
        5,
        "heun_step",
        "function of slope, keyword noise positional",
        """
def heun_step(y, denoise, s, t):
    def slope(p, n): return (p - denoise(p, n)) / n
    k1 = slope(y, s)
    p = y + (t - s) * k1
    return p if t <= 0 else 0.5 * (p + y + (t - s) * slope(p, t))
""",
    ),
    (
        6,
        "kl_to_scaled_prior",
        "loops",
        """
def kl_to_scaled_prior(mean, log_variance, scale, gy):
    N, J = mean.shape
    kl, gm, gl = np.zeros(N), np.zeros((N, J)), np.zeros((N, J))
    for n in range(N):
        for j in range(J):
            m, l = mean[n, j], log_variance[n, j]
            kl[n] += np.log(scale) - l / 2 + (np.exp(l) + m * m) / (2 * scale**2) - 0.5
            gm[n, j] = gy[n] * m / scale**2
            gl[n, j] = gy[n] * (np.exp(l) / (2 * scale**2) - 0.5)
    return kl, gm, gl
""",
    ),
    (
        6,
        "kl_to_scaled_prior",
        "from standard deviations, list",
        """
def kl_to_scaled_prior(mean, log_variance, scale, gy):
    sigma = np.exp(0.5 * log_variance)
    kl = np.sum(np.log(scale / sigma) + (sigma**2 + mean**2) / (2 * scale**2) - 1 / 2, axis=1)
    return [kl, np.einsum("n,nj->nj", gy, mean) / scale**2, 0.5 * gy.reshape(-1, 1) * (sigma**2 / scale**2 - 1)]
""",
    ),
    (
        6,
        "wrong_sampler",
        "no exponential: 1 + l (negative spreads)",
        """
def wrong_sampler(mean, log_variance, noise):
    s = 1 + log_variance / 5
    return mean + s * noise, np.ones(mean.shape), noise / 5
""",
    ),
    (
        6,
        "wrong_sampler",
        "constant spread",
        """
def wrong_sampler(mean, log_variance, noise):
    return mean + noise, np.ones(mean.shape), np.zeros(mean.shape)
""",
    ),
    (
        6,
        "wrong_sampler",
        "the third of the log-variance, a list",
        """
def wrong_sampler(mean, log_variance, noise):
    s = np.exp(log_variance / 3)
    return [mean + s * noise, 0 * mean + 1, s * noise / 3]
""",
    ),
    (
        6,
        "wrong_sampler",
        "exp(-l/2)",
        """
def wrong_sampler(mean, log_variance, noise):
    s = np.exp(-log_variance / 2)
    return mean + s * noise, np.ones_like(mean), -0.5 * s * noise
""",
    ),
    (
        6,
        "wrong_sampler",
        "cubed, the variance squared",
        """
def wrong_sampler(mean, log_variance, noise):
    s = np.exp(2 * log_variance)
    return mean + s * noise, np.ones_like(mean), 2 * s * noise
""",
    ),
    (
        6,
        "best_posterior",
        "closed form",
        """
def best_posterior(x, weight, bias, sigma):
    P = np.eye(weight.shape[1]) + weight.T @ weight / sigma**2
    return np.linalg.solve(P, weight.T @ (x - bias).T / sigma**2).T, np.tile(-np.log(np.diag(P)), (len(x), 1))
""",
    ),
    (
        6,
        "best_posterior",
        "plain descent with a small fixed step",
        """
def best_posterior(x, weight, bias, sigma):
    J = weight.shape[1]
    mean, lv = np.zeros((len(x), J)), np.zeros((len(x), J))
    for _ in range(5000):
        g_mean = mean - (x - bias - mean @ weight.T) @ weight / sigma**2
        g_lv = 0.5 * (np.exp(lv) + np.exp(lv) * (weight**2).sum(axis=0) / sigma**2 - 1)
        mean, lv = mean - 0.02 * g_mean, lv - 0.02 * g_lv
    return mean, lv
""",
    ),
    (
        6,
        "best_posterior",
        "coordinate steps, newton",
        """
def best_posterior(x, weight, bias, sigma):
    J = weight.shape[1]
    out = []
    for row in x:
        m, l = np.zeros(J), np.zeros(J)
        for _ in range(500):
            for j in range(J):
                a = 1 + weight[:, j] @ weight[:, j] / sigma**2
                m[j] -= (m[j] - (row - bias - weight @ m) @ weight[:, j] / sigma**2) / a
                l[j] -= min(max((np.exp(l[j]) * a - 1) / (np.exp(l[j]) * a), -1), 1)
        out.append((m, l))
    return np.array([o[0] for o in out]), np.array([o[1] for o in out])
""",
    ),
    (
        7,
        "score_gradients",
        "loops and densities",
        """
def score_gradients(value, noise, log_variance, baseline):
    gm, gl = np.empty(noise.shape), np.empty(noise.shape)
    for n in range(noise.shape[0]):
        for j in range(noise.shape[1]):
            sd = np.sqrt(np.exp(log_variance[n, j]))
            d = sd * noise[n, j]
            gm[n, j] = (value[n] - baseline[n]) * d / sd**2
            gl[n, j] = (value[n] - baseline[n]) * 0.5 * (d * d / sd**2 - 1)
    return [gm, gl]
""",
    ),
    *(
        (
            7,
            "hard_function",
            f"cos of frequency {frequency}",
            f"""
def hard_function(z):
    return 0.001 * np.cos({frequency} * z), -0.001 * {frequency} * np.sin({frequency} * z)
""",
        )
        for frequency in ("30.0", "200.0", "1e4", "1e6")
    ),
    (
        7,
        "hard_function",
        "list, loops",
        """
import math
def hard_function(z):
    return [np.array([math.sin(50 * v) for v in z]), np.array([50 * math.cos(50 * v) for v in z])]
""",
    ),
    (
        7,
        "hard_function",
        "a power: z**9",
        """
def hard_function(z):
    return np.sin(z**9), 9 * z**8 * np.cos(z**9)
""",
    ),
    (
        7,
        "leave_one_out",
        "loops",
        """
def leave_one_out(values, scores):
    K, N, J = scores.shape
    out = np.zeros((N, J))
    for k in range(K):
        for n in range(N):
            b = np.mean([values[i, n] for i in range(K) if i != k])
            out[n] += (values[k, n] - b) * scores[k, n] / K
    return out
""",
    ),
    (
        7,
        "leave_one_out",
        "einsum, K/(K-1)",
        """
def leave_one_out(values, scores):
    K = values.shape[0]
    return np.einsum("kn,knj->nj", values - values.mean(0), scores) / (K - 1)
""",
    ),
    (
        8,
        "two_layers_backward",
        "einsum, list",
        """
def two_layers_backward(x, W1, b1, W2, b2, g_k):
    h = np.tanh(np.einsum("nd,hd->nh", x, W1) + b1[None])
    k = np.tanh(h.dot(W2.T) + b2)
    u = g_k / np.cosh(h.dot(W2.T) + b2) ** 2
    t = u.dot(W2) / np.cosh(x.dot(W1.T) + b1) ** 2
    return [np.einsum("nh,nd->hd", t, x), np.einsum("nh->h", t), np.einsum("nk,nh->kh", u, h), np.einsum("nk->k", u), t.dot(W1)]
""",
    ),
    (
        8,
        "two_layers_backward",
        "loop over examples",
        """
def two_layers_backward(x, W1, b1, W2, b2, g_k):
    gW1, gb1, gW2, gb2, gx = 0 * W1, 0 * b1, 0 * W2, 0 * b2, 0 * x
    for n in range(len(x)):
        h = np.tanh(W1 @ x[n] + b1)
        k = np.tanh(W2 @ h + b2)
        u = g_k[n] * (1 - k**2)
        t = (W2.T @ u) * (1 - h**2)
        gW2 += np.outer(u, h); gb2 += u; gW1 += np.outer(t, x[n]); gb1 += t
        gx[n] = W1.T @ t
    return gW1, gb1, gW2, gb2, gx
""",
    ),
    (
        8,
        "fool_line_10",
        "projection",
        """
def fool_line_10(mean, g_mean):
    e = np.random.default_rng(1).normal(size=mean.shape)
    e = e - mean * (e * mean).sum() / (mean * mean).sum()
    return g_mean + e / np.abs(e).max() * np.abs(g_mean).max()
""",
    ),
    (
        8,
        "fool_line_10",
        "two entries, big error",
        """
def fool_line_10(mean, g_mean):
    g = g_mean.copy()
    c = 10 * np.abs(g_mean).max()
    g.flat[0] += c / mean.flat[0]
    g.flat[-1] -= c / mean.flat[-1]
    return g
""",
    ),
    (
        8,
        "balances",
        "loops",
        """
def balances(mean, log_variance, noise, g_z, beta):
    N, J = mean.shape
    a = b = c = d = 0.0
    for n in range(N):
        for j in range(J):
            m, l, e, g = mean[n, j], log_variance[n, j], noise[n, j], g_z[n, j]
            a += m * g; b += beta * m * m / N
            c += l * g * e * np.exp(l / 2) / 2; d += beta * l * (np.exp(l) - 1) / (2 * N)
    return [-a / b, -c / d]
""",
    ),
    (
        8,
        "balances",
        "einsum, tuple of arrays without axes",
        """
def balances(mean, log_variance, noise, g_z, beta):
    N = len(mean)
    s = np.exp(log_variance / 2)
    return np.array(-N * np.einsum("nj,nj", mean, g_z) / (beta * np.einsum("nj,nj", mean, mean))), -N * np.vdot(log_variance, g_z * noise * s) / (beta * np.vdot(log_variance, s * s - 1))
""",
    ),
    (
        9,
        "check_kl",
        "loops and one example at a time",
        """
def check_kl(kl):
    rng = np.random.default_rng(1)
    for n, j in ((3, 4), (2, 5)):
        m, l = rng.normal(size=(n, j)), rng.uniform(-2, 3, size=(n, j))
        out = kl(m, l)
        if np.shape(out) != (n,):
            return False
        for i in range(n):
            exact = 0
            for k in range(j):
                exact += (m[i, k] ** 2 + np.exp(l[i, k]) - 1 - l[i, k]) / 2
            if abs(out[i] - exact) > 1e-3 * (1 + abs(exact)):
                return False
    return True
""",
    ),
    (
        9,
        "check_kl",
        "properties: additive, zero at the prior",
        """
def check_kl(kl):
    z = np.zeros((2, 3))
    if not np.allclose(kl(z, z), 0, atol=1e-5):
        return False
    m = z + 2
    if not np.allclose(kl(m, z), 6, atol=1e-3):
        return False
    return bool(np.allclose(kl(z, z + 2), 3 * (np.exp(2) - 3) / 2, rtol=1e-3))
""",
    ),
    (
        9,
        "check_kl",
        "assert and except",
        """
def check_kl(kl):
    try:
        m = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
        l = np.array([[1.0, -2.0, 0.5], [2.0, 1.5, -1.0]])
        np.testing.assert_allclose(kl(m, l), [0.5 * sum(a * a + np.exp(b) - b - 1 for a, b in zip(p, q)) for p, q in zip(m, l)], rtol=1e-4)
    except Exception:
        return False
    return True
""",
    ),
    (
        9,
        "check_sampler",
        "one number by hand",
        """
def check_sampler(sampler):
    m, l, e = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[2.0, -3.0], [0.5, 1.0]]), np.array([[1.0, -2.0], [0.3, 0.4]])
    z = sampler(m, l, e)
    for i in range(2):
        for j in range(2):
            if abs(z[i, j] - m[i, j] - 2.718281828459045 ** (l[i, j] / 2) * e[i, j]) > 1e-3:
                return False
    return True
""",
    ),
    (
        9,
        "check_sampler",
        "statistics over many draws",
        """
def check_sampler(sampler):
    e = np.random.default_rng(0).normal(size=(20000, 2))
    m, l = np.full(e.shape, 1.0), np.full(e.shape, 2.0)
    z = sampler(m, l, e)
    return bool(np.allclose(z.mean(0), 1, atol=0.1) and np.allclose(z.std(0), np.exp(1), rtol=0.05) and z.shape == e.shape and np.corrcoef(z[:, 0], e[:, 0])[0, 1] > 0.99)
""",
    ),
    (
        9,
        "check_sampler",
        "float32 inputs",
        """
def check_sampler(sampler):
    m, l, e = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    return bool(np.allclose(sampler(m, l, e), m + np.sqrt(np.exp(l)) * e, rtol=1e-3, atol=1e-3))
""",
    ),
    (
        9,
        "check_loss",
        "zeros weights, decode constant logits",
        """
def check_loss(loss):
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2, (3, 5)).astype(float)
    noise = rng.normal(size=(3, 2))
    m, l = rng.normal(size=(3, 2)), 1 + rng.normal(size=(3, 2))
    A = rng.normal(size=(2, 5))
    def encode(x): return m, l
    def decode(z): return z @ A
    p = 1 / (1 + np.exp(-((m + np.exp(l / 2) * noise) @ A)))
    exact = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p)) / 3 + 0.5 * np.sum(m**2 + np.exp(l) - l - 1) / 3
    return bool(abs(loss(x, noise, encode, decode) - exact) < 1e-3 * abs(exact))
""",
    ),
    (
        9,
        "check_loss",
        "linear encoder as a class",
        """
class Model:
    def __init__(self): self.W = np.arange(12.0).reshape(4, 3) / 10 - 0.5
    def encode(self, x): return x @ self.W, x @ self.W**2
    def decode(self, z): return z @ self.W.T + 0.3
def check_loss(loss):
    m = Model()
    x = np.array([[1.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    e = np.array([[0.5, -1, 2], [1, 0.3, -0.2], [-2, 1, 0.1]])
    mu, lv = m.encode(x)
    a = m.decode(mu + np.exp(lv / 2) * e)
    nats = np.sum(np.log(1 + np.exp(a)) - x * a, axis=1) + 0.5 * np.sum(mu**2 + np.exp(lv) - lv - 1, axis=1)
    got = loss(x, e, m.encode, m.decode)
    return np.ndim(got) == 0 and bool(np.isclose(got, nats.mean(), rtol=1e-4))
""",
    ),
    (
        10,
        "rate_and_distortion",
        "loop",
        """
import math
def rate_and_distortion(eigenvalues, variance, beta, latent):
    R = E = 0.0
    for i, a in enumerate(eigenvalues):
        t = beta * variance
        if i < latent and a > t:
            R += 0.5 * math.log(a / t); E += t
        else:
            E += a
    return [R, E / 2 / variance]
""",
    ),
    (
        10,
        "rate_and_distortion",
        "clip",
        """
def rate_and_distortion(eigenvalues, variance, beta, latent):
    t = beta * variance
    used = (np.arange(len(eigenvalues)) < latent) & (eigenvalues > t)
    return np.log(eigenvalues[used] / t).sum() / 2, (t * used.sum() + eigenvalues[~used].sum()) / (2 * variance)
""",
    ),
    (
        10,
        "false_end",
        "svd, another eigenvector, negative sign",
        """
def false_end(covariance, variance, beta):
    U, w, _ = np.linalg.svd(covariance)
    t = beta * variance
    u, a = -U[:, 1], w[1]
    r = np.sqrt(a - t)
    return np.outer(u, [r]), np.outer([r / a], u), np.array([np.log(t) - np.log(a)])
""",
    ),
    (
        10,
        "false_end",
        "power iteration with deflation, a list",
        """
def false_end(covariance, variance, beta):
    C = covariance.copy()
    for _ in range(2):
        u = np.ones(len(C)) + np.arange(len(C)) * 0.1
        for _ in range(5000):
            u = C @ u; u = u / np.linalg.norm(u)
        a = u @ covariance @ u
        C = C - a * np.outer(u, u)
    t = beta * variance
    r = np.sqrt(a - t)
    return [r * u.reshape(-1, 1), r / a * u.reshape(1, -1), np.array([np.log(t / a)])]
""",
    ),
    (
        10,
        "best_variance",
        "fixed point",
        """
def best_variance(eigenvalues, latent, beta):
    s2 = eigenvalues[-1]
    for _ in range(5000):
        s2 = (latent * beta * s2 + eigenvalues[latent:].sum()) / len(eigenvalues)
    return s2, 0.5 * sum(np.log(a / (beta * s2)) for a in eigenvalues[:latent])
""",
    ),
    (
        10,
        "best_variance",
        "golden section of the loss",
        """
def best_variance(eigenvalues, latent, beta):
    D = len(eigenvalues)
    def loss(s2): return (latent * beta * s2 + eigenvalues[latent:].sum()) / (2 * s2) + D / 2 * np.log(s2) - beta * latent / 2 * np.log(s2)
    lo, hi = np.log(1e-3), np.log(100.0)
    for _ in range(200):
        a, b = lo + 0.382 * (hi - lo), lo + 0.618 * (hi - lo)
        if loss(np.exp(a)) < loss(np.exp(b)): hi = b
        else: lo = a
    s2 = np.exp((lo + hi) / 2)
    return s2, np.log(eigenvalues[:latent] / (beta * s2)).sum() / 2
""",
    ),
)

BY_NAME = (
    (0, "flat loop, python floats", "backward(cotangent, x)", "backward(x=x, cotangent=cotangent)"),
    (0, "integer images, indices", "log_likelihood(logits, images)", "log_likelihood(images=images, logits=logits)"),
    (9, "loops and one example at a time", "kl(m, l)", "kl(log_variance=l, mean=m)"),
    (9, "one number by hand", "sampler(m, l, e)", "sampler(m, noise=e, log_variance=l)"),
    (9, "zeros weights, decode constant logits", "loss(x, noise, encode, decode)", "loss(x, noise, decode=decode, encode=encode)"),
)
ANSWERS += tuple(
    (number, function, f"{style}, by name", source.replace(call, named))
    for number, function, style, source in ANSWERS
    for lesson, named_style, call, named in BY_NAME
    if (lesson, named_style) == (number, style)
)
