"""JAX: the whole step, noise and Adam included, is one compiled program whose state is given to it to be written over."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.speed.networks import BETAS, EPS, LR
from benchmarks.speed.plain import Functions

LAYOUT = ("NCHW", "OIHW", "NCHW")


class JaxFunctions(Functions):
    """JAX's own functions where it has them."""

    def __init__(self):
        super().__init__(jnp)
        self.relu, self.softplus = jax.nn.relu, jax.nn.softplus
        self.gelu = functools.partial(jax.nn.gelu, approximate=True)

    def conv(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (out, in, k, k)."""
        around = [(padding, padding)] * 2
        return jax.lax.conv_general_dilated(x, weight, (stride, stride), around, dimension_numbers=LAYOUT) + bias[:, None, None]

    def conv_transpose(self, x, weight, bias, inputs, outputs, kernel, stride, padding):
        """x: (N, in, H, W); weight: (in, out, k, k): the convolution with the turned kernel of x with zeros in between."""
        turned, around = jnp.flip(weight, (2, 3)).swapaxes(0, 1), [(kernel - 1 - padding,) * 2] * 2
        y = jax.lax.conv_general_dilated(x, turned, (1, 1), around, lhs_dilation=(stride, stride), dimension_numbers=LAYOUT)
        return y + bias[:, None, None]

    def max_pool(self, x, size):
        """The largest entry of each square."""
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, size, size), (1, 1, size, size), "VALID")

    def upsample(self, x, factor):
        """Every entry factor x factor times."""
        return x.repeat(factor, axis=2).repeat(factor, axis=3)


class Peer:
    """One training with JAX."""

    def __init__(self, network, weights, variant=""):
        loss = functools.partial(JaxFunctions().loss, network)

        def step(state, x, noise):
            weights, m, v, t, key = state
            g, t, (b1, b2) = jax.grad(loss)(weights, x, noise), t + 1, BETAS
            m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
            v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
            rate, root = LR / (1 - b1**t), jnp.sqrt(1 - b2**t)
            weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + EPS), weights, m, v)
            return weights, m, v, t, key

        def own_step(state, x):
            *state, key = state
            key, now = jax.random.split(key)
            noise = None if network.noise_shape is None else jax.random.normal(now, network.noise_shape)
            return step((*state, key), x, noise)

        self.given_step, self.own_step, self.loss = jax.jit(step, donate_argnums=0), jax.jit(own_step, donate_argnums=0), jax.jit(loss)
        weights = {name: jnp.array(w) for name, w in weights.items()}  # a copy: it is written over
        zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        self.state = (weights, *zeros, jnp.float32(0), jax.random.key(0))

    def array(self, x):
        """A jax.Array."""
        return jnp.asarray(x)

    def loss_at(self, x, noise):
        """The loss, a number."""
        return float(self.loss(self.state[0], x, noise))

    def step(self, x, noise=None):
        """One step of training."""
        self.state = self.own_step(self.state, x) if noise is None else self.given_step(self.state, x, noise)

    def wait(self):
        """Until the last step is done."""
        jax.block_until_ready(self.state)
