"""The variational autoencoder.  Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014."""

from tinyae.autograd import no_grad
from tinyae.backend import check_rng
from tinyae.backend import rng as make_rng
from tinyae.distributions import Normal, StandardNormal
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.models.about import About
from tinyae.models.likelihoods import likelihood_named
from tinyae.models.objective import ELBO
from tinyae.models.parts import as_rows, as_widths, check_sizes, code_of, dtype_of, encoder_and_decoder
from tinyae.nn import Module


class VAE(Module):
    """A latent variable z ~ N(0, I), a decoder for p(x | z), and an encoder for q(z | x) ~ p(z | x).

    features: width D of an example.  latent: dimensions J of z.  hidden: widths of the encoder's layers; the decoder has
    them in reverse.  likelihood: "bernoulli" (the decoder gives logits) or "gaussian" (it gives means; `variance` is
    fixed, 1/2 makes the loss the squared error plus the KL, up to a constant).  channels: of convolutions before the hidden
    layers (see nn.conv_encoder), for images of `image_shape`.  rng: a stream for the initial weights.

    Measured (benchmarks/family.md): -log p(x) of test digits, with 10 latents, 18.047 nats against 18.482 of a mixture of Bernoulli
    distributions with up to as many parameters: better.
    """

    about = About(
        title="Variational autoencoder",
        objective="E_q[-log p(x | z)] + KL(q(z | x) || p(z))",
        paper="Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014",
        good_for="a model of the data: new examples, a bound on the likelihood, a smooth code",
        drawing="vae",
    )

    def __init__(
        self, features, latent=2, hidden=(64,), likelihood="bernoulli", activation="relu", variance=None, channels=(), image_shape=None, *, rng=None
    ):
        hidden, channels = as_widths(hidden), as_widths(channels, "channels")
        check_sizes(features=features, latent=latent, hidden=hidden, channels=channels)
        self.likelihood = likelihood_named(likelihood, variance)
        rng = make_rng(0) if rng is None else rng
        self.features, self.latent = features, latent
        self.posterior, self.prior, self.objective = Normal, StandardNormal(), ELBO()
        sizes = features, 2 * latent, latent, self.likelihood.outputs * features
        self.encoder, self.decoder = encoder_and_decoder(*sizes, hidden, channels, image_shape, activation, rng)
        self.config = {"model": "vae", "features": int(features), "latent": int(latent), "hidden": hidden, "likelihood": likelihood}
        self.config |= {"activation": activation, "variance": variance, "channels": channels, "image_shape": image_shape}

    def rows(self, x):
        """x, (N, ...), as (N, D) of the weights' dtype; raises an error where it is outside the likelihood's support."""
        return as_rows(x, self.features, dtype_of(self), self.likelihood.low, self.likelihood.high)

    def encode(self, x):
        """The posterior q(z | x), a Normal with mean and log_variance (N, J).  x: (N, D)."""
        h = self.encoder(self.rows(x))
        return self.posterior(h[:, : self.latent], h[:, self.latent :])

    def decode(self, z):
        """The parameters of p(x | z): logits (bernoulli) or means (gaussian).  z: (..., J).  Returns (..., D)."""
        return self.decoder(z)

    def loss(self, x, noise=None, rng=None):
        """What `self.objective` makes of the two terms, in nats per example: summed over features and latents, mean over the batch.

        x: (N, D).  noise: (N, J), or (K, N, J) for the mean over K draws, from N(0, 1); or `rng`, a stream to draw it.
        """
        x = self.rows(x)
        noise = self.draw_noise(len(x), noise, rng)
        q = self.encode(x)
        z = q.rsample(noise)
        nll = self.likelihood(self.decode(z)).nll(x)
        return self.objective(nll, q, self.prior)

    def log_weights(self, x, noise):
        """log p(x, z) - log q(z | x) at draws z of q, in nats: their mean is the ELBO, the logarithm of their mean exponential tends to log p(x).

        x: (N, D).  noise: (..., N, J).  Returns (..., N).  Burda, Grosse & Salakhutdinov 2016, equation 7.
        """
        x = self.rows(x)
        q = self.encode(x)
        z = q.rsample(self.draw_noise(len(x), noise))
        return self.likelihood(self.decode(z)).log_prob(x) + self.prior.log_prob(z) - q.log_prob(z)

    def draw_noise(self, n, noise=None, rng=None, draws=()):
        """`noise`, after a look at its shape, or (*draws, n, J) numbers from N(0, 1) drawn from `rng`."""
        if noise is None:
            if rng is None:
                raise ArgumentError(
                    "noise is an input of a VAE.", expected="noise= or rng=", at=show(caller()), remedy="rng=ta.rng(0), a stream to draw it from"
                )
            return check_rng(rng).normal((*draws, n, self.latent), dtype_of(self))
        if tuple(noise.shape[-2:]) != (n, self.latent):
            raise ShapeError("the noise does not fit.", expected=f"(..., {n}, {self.latent})", got=noise.shape, at=show(caller()))
        return noise

    def reconstruct(self, x):
        """The mean of p(x | z) at the mean of q(z | x), or at the code: no noise.  Returns an array of x's shape."""
        with no_grad():
            return self.likelihood(self.decode(code_of(self.encode(x)))).mean.data.reshape(x.shape)

    def sample(self, n, rng=None, noise=None):
        """The means of p(x | z) for n draws z of the prior, an array (n, D).  noise: (n, J), or drawn from `rng`."""
        check_sizes(n=n)
        with no_grad():
            return self.likelihood(self.decode(self.draw_noise(n, noise, rng))).mean.data
