"""What frameworks with an optimiser and `loss.backward()` share: the loop by hand."""


class ByHand:
    """A training whose class has `loss(x, noise)`, a tensor, and an optimiser `adam`."""

    def loss_at(self, x, noise):
        """The loss, a number."""
        return self.loss(x, noise).item()

    def step(self, x, noise=None):
        """One step of training."""
        loss = self.loss(x, noise)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
