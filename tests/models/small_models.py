"""What the tests of the models share: weights far from their initial values, binary data, noise, the same model of twice the pixels."""

import numpy as np

import tinyae as ta


def moved(model, scale, spread, seed=0):
    """The model, its weights far from their initial values, so that logits have both signs and size."""
    for i, p in enumerate(model.parameters()):
        p.assign(p.data * scale + ta.rng(seed + 100 + i).normal(p.shape, np.float64) * spread)
    return model


def binary(n, features, seed=5):
    """n rows of zeros and ones."""
    return ta.rng(seed).bernoulli(np.full((n, features), 0.4))


def noise_for(model, *shape, seed=2):
    """Noise of all latent dimensions, (*shape, J)."""
    return ta.rng(seed).normal((*shape, model.latent), np.float64)


def load_with_pixels_twice(wide, model):
    """Give `wide`, of twice the pixels, the weights of `model`: on pixels that come twice it does what the model does on them once."""
    state = model.state_dict()
    last = max(name for name in state if name.startswith("decoder.") and name.endswith(".weight")).removesuffix("weight")
    state["encoder.0.weight"] = np.tile(state["encoder.0.weight"], 2) / 2
    state[f"{last}weight"], state[f"{last}bias"] = np.tile(state[f"{last}weight"], (2, 1)), np.tile(state[f"{last}bias"], 2)
    wide.load_state_dict(state)


def assert_built_again(model, x):
    """A model that its configuration makes, with its weights, has its loss."""
    again = ta.models.build(model.config, ta.rng(0)).astype("float64")
    assert again.config == model.config
    again.load_state_dict(model.state_dict())
    assert again.loss(x, rng=ta.rng(0)).loss.item() == model.loss(x, rng=ta.rng(0)).loss.item()
