"""A fake GPU: arrays that compute with NumPy but refuse, more strictly than CuPy, whatever a GPU would not do.

    with ta.checks.fake_device.fake_gpu() as counters:
        x = ta.backend.to_device(np.ones((2, 3)))        # an array on the fake device
        y = my_function(x)                               # FakeDeviceError where a GPU would refuse, or wait
    print(counters)                                      # launches, synchronisations, copies

It has the functions that NumPy and CuPy share, with the arguments that CuPy knows.  It refuses NumPy functions on its
arrays, operands from the host, `where=`, and hidden synchronisation: float, bool, iteration, printing of values.
It proves discipline, not values: what a real GPU rounds differently it cannot show.
"""

from tinyae.checks.fake_device.array import Counters, FakeArray, FakeDeviceError, counters
from tinyae.checks.fake_device.functions import FUNCTIONS, FakeModule, fake_gpu, installed, module

__all__ = ["FUNCTIONS", "Counters", "FakeArray", "FakeDeviceError", "FakeModule", "counters", "fake_gpu", "installed", "module"]
