"""The loops that Numba compiles: plain Python, so that the tests can run them without it."""

import math


def adam(p, g, m, v, beta1, beta2, scale, eps, rate):
    """A step of Adam in one pass; what the numbers are says `kernels.adam`.  p, g, m, v: (n,), all but g changed in place."""
    for i in range(len(p)):
        m[i] = m[i] * beta1 + g[i]
        v[i] = v[i] * beta2 + g[i] * g[i]
        p[i] -= m[i] / (math.sqrt(v[i]) * scale + eps) * rate
