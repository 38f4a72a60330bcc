"""Schedules: each makes a function of the time t, in whatever its caller counts (steps, epochs, from 0).

For a learning rate `adam.lr = schedule(t)`, for the weight of the KL divergence (linear or cyclical, from 0 to 1) or for its
capacity `schedule(t)` where the loss is computed.  Before time 0 and after its end a schedule keeps the value it has there.
"""

import bisect
import math

from tinyae.errors import ArgumentError


def linear(start, end, over):
    """From start, at t = 0, straight to end, at t = over.

    Warm-up of the KL weight, linear(0, 1, over): Sønderby et al. 2016.
    Capacity of a beta-VAE in nats, linear(0, C, over): Burgess et al. 2018.
    """
    check(over > 0, "linear", "over > 0", f"over={over}")

    def schedule(t):
        done = min(max(t / over, 0.0), 1.0)
        return (1 - done) * start + done * end

    return schedule


def cosine(start, end, over, warm_up=0):
    """From start to end, at t = over, along half a cosine: end + (start - end) (1 + cos(pi s)) / 2, where s goes from 0 to 1.

    warm_up: the time at the beginning in which the value rises linearly from 0 to start, before the cosine begins.
    Loshchilov & Hutter 2017, equation 5, without restarts; the warm-up Goyal et al. 2017, section 2.2.
    """
    check(0 <= warm_up < over, "cosine", "0 <= warm_up < over", f"over={over}, warm_up={warm_up}")

    def schedule(t):
        if max(t, 0) < warm_up:
            return start * max(t, 0) / warm_up
        done = min(max((t - warm_up) / (over - warm_up), 0.0), 1.0)
        left = (1 + math.cos(math.pi * done)) / 2
        return left * start + (1 - left) * end

    return schedule


def piecewise_constant(values):
    """Steps: values maps the time from which a value holds to the value, as in {0: 1e-3, 30: 1e-4, 60: 1e-5}."""
    times = sorted(values)
    check(times and times[0] == 0, "piecewise_constant", "a value from time 0 on", f"times {times}")
    return lambda t: values[times[max(bisect.bisect_right(times, t) - 1, 0)]]


def iwae():
    """The IWAE paper's learning rate, t in epochs: 0.001 * 10^(-i/7) for 3^i epochs, i = 0, ..., 7; 3280 epochs in all.

    Burda, Grosse & Salakhutdinov 2016, section 5.
    """
    return piecewise_constant({(3**i - 1) // 2: 1e-3 * 10 ** (-i / 7) for i in range(8)})  # 1 + 3 + ... + 3^(i-1) epochs before


def cyclical(over, cycles=4, ratio=0.5):
    """The weight of the KL divergence: `cycles` times within `over` from 0 up to 1, linearly in the part `ratio` of the cycle, then 1.

    beta = min(tau / ratio, 1), tau = (t mod over/cycles) / (over/cycles); 1 from t = over on.
    Fu et al. 2019, equations 6 and 7 (their t counts from 1).
    """
    check(over > 0 and cycles >= 1 and 0 < ratio <= 1, "cyclical", "over > 0, cycles >= 1, 0 < ratio <= 1", f"{over=}, {cycles=}, {ratio=}")

    def schedule(t):
        tau = max(t, 0) * cycles / over % 1
        return 1.0 if t >= over else min(tau / ratio, 1.0)

    return schedule


def check(right, name, expected, got):
    """Raise ArgumentError where a setting is out of its range."""
    if not right:
        raise ArgumentError(f"{name}: a setting is out of range.", expected=expected, got=got)
