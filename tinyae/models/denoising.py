"""The denoising autoencoder: from a corrupted example to the clean one.  Vincent, Larochelle, Bengio & Manzagol 2008."""

from tinyae.backend import check_rng
from tinyae.data.corruption import gaussian_noise, masking_noise, salt_and_pepper
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.models.about import About
from tinyae.models.autoencoder import Autoencoder, AutoencoderTerms, check_not_negative
from tinyae.models.parts import dtype_of

CORRUPTIONS = {"gaussian": gaussian_noise, "masking": masking_noise, "salt-and-pepper": salt_and_pepper}


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that is trained to give back x from a corrupted x.

    noise: "gaussian", of standard deviation `amount`; "masking" (values become 0) or "salt-and-pepper" (values become 0 or 1), each value with
    probability `amount`.  Only the loss corrupts: encode and reconstruct take what they are given.  The other settings are an autoencoder's.

    Where it is trained with Gaussian noise of a small variance s^2, (reconstruct(x) - x) / s^2 is about the score, the gradient of log p(x)
    (Vincent 2011; exactly so for the best denoiser and the density of the noisy data, Miyasawa 1961).  See benchmarks/denoising.md.

    Measured (benchmarks/family.md): squared error per pixel against the clean image, from input with noise 0.3, 0.01953 against 0.03486 of the
    best plain autoencoder, a linear one with a code of 12: better.
    """

    about = About(
        title="Denoising autoencoder",
        objective="E |x - decode(encode(corrupt(x)))|^2",
        paper="Vincent, Larochelle, Bengio & Manzagol 2008; Vincent et al. 2010",
        good_for="removing noise; the score of the data; a start for a classifier with few labels",
        training={"epochs": 150, "lr": 3e-3, "latent": 32, "hidden": [128], "activation": "relu"},
        drawing="denoising",
    )

    def __init__(
        self, features, latent=32, hidden=(128,), activation="relu", noise="gaussian", amount=0.3, channels=(), image_shape=None, *, rng=None
    ):
        super().__init__(features, latent, hidden, activation, channels, image_shape, rng=rng)
        if noise not in CORRUPTIONS:
            raise ArgumentError("noise: an unknown one.", expected="one of " + ", ".join(CORRUPTIONS), got=repr(noise))
        check_not_negative(amount=amount)
        if noise != "gaussian" and amount > 1:
            raise ArgumentError(f"amount: that of {noise} noise is a probability.", expected="0 to 1", got=amount)
        self.config |= {"model": "denoising-autoencoder", "noise": noise, "amount": amount}
        self.noise, self.amount = noise, amount

    def draw_noise(self, n, noise=None, rng=None):
        """`noise`, after a look at its shape, or (n, D) numbers drawn from `rng`: N(0, 1) for gaussian noise, else uniform on [0, 1)."""
        if noise is None:
            if rng is None:
                remedy = "rng=ta.rng(0), a stream to draw it from"
                raise ArgumentError("noise is an input of a denoising autoencoder.", expected="noise= or rng=", at=show(caller()), remedy=remedy)
            draw = check_rng(rng).normal if self.noise == "gaussian" else check_rng(rng).uniform
            return draw((n, self.features), dtype=dtype_of(self))
        if tuple(noise.shape) != (n, self.features):
            raise ShapeError("the noise does not fit.", expected=f"({n}, {self.features})", got=noise.shape, at=show(caller()))
        return noise

    def corrupt(self, x, noise=None, rng=None):
        """x as the loss gives it to the encoder.  x: (N, D).  noise: see `draw_noise`."""
        x = self.rows(x)
        return CORRUPTIONS[self.noise](x, None, self.amount, self.draw_noise(len(x), noise, rng))

    def loss(self, x, noise=None, rng=None):
        """The squared error of what is made of the corrupted x against the clean one, as AutoencoderTerms.  x: (N, D)."""
        x = self.rows(x)
        error = self.error(x, self.encode(self.corrupt(x, noise, rng)))
        return AutoencoderTerms(loss=error, mse=error / self.features)
