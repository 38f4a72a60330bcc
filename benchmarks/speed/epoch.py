"""An epoch on MNIST with the dense VAE, reading the files and measuring on the test split included: `python -m benchmarks.speed.epoch tinyae`.

Prints the seconds from after the imports to the end.  Dynamic binarisation, batches of 128.
"""

import gzip
import os
import pathlib
import sys
import time

import numpy as np

from benchmarks.speed.networks import BETAS, EPS, LR, NETWORKS, weights_of

NETWORK = NETWORKS["dense"]


def with_tinyae():
    """As a user of the library would: `ta.fit`."""
    import tinyae as ta
    from benchmarks.speed.peers.with_tinyae import model_of

    start, (train, test) = time.perf_counter(), (ta.data.load("mnist", split=s, binarisation="dynamic") for s in ("train", "test"))
    model = model_of(NETWORK)
    model.load_state_dict(weights_of(NETWORK))
    history = ta.fit(model, train, test=test, epochs=1, batch_size=NETWORK.batch, lr=LR, progress=False)
    return time.perf_counter() - start, history["test_negative_elbo"][-1]


def images(split):
    """The bytes of a split, (N, 784); the files gzipped or not."""
    path = pathlib.Path(os.environ["TINYAE_DATA"]) / "mnist" / f"{split}-images-idx3-ubyte"
    raw = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, NETWORK.features).copy()


def with_torch():
    """The plain loop over tensors in memory, without a DataLoader."""
    import torch

    from benchmarks.speed.peers.with_torch import Model

    start, (train, test) = time.perf_counter(), (torch.from_numpy(images(split)) for split in ("train", "t10k"))
    torch.manual_seed(0)
    model = Model(NETWORK)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights_of(NETWORK).items()})
    adam = torch.optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS)

    def loss_of(rows):
        return model(torch.bernoulli(rows.float() / 255), torch.randn(len(rows), NETWORK.latent))

    for rows in torch.randperm(len(train)).split(NETWORK.batch):
        loss = loss_of(train[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        total = sum(loss_of(rows).item() * len(rows) for rows in test.split(1000))
    return time.perf_counter() - start, total / len(test)


if __name__ == "__main__":
    seconds, negative_elbo = {"tinyae": with_tinyae, "torch": with_torch}[sys.argv[1]]()
    assert 100 < negative_elbo < 200, negative_elbo  # trained: an untrained network has 540
    print(seconds)
