"""How much memory a learner's file may take: a part of what its process may, so that there is always enough left to say what happened."""

import contextlib
import pathlib

try:
    import resource
except ImportError:  # Windows, where nothing is limited
    resource = None

MEMORY = 2 << 30  # bytes that the process may take beyond our own libraries
THEIRS = 7 / 8  # of them while the learner's own code runs
limits = {}  # of the process, in bytes of addresses: "theirs" and "all"; empty where there are none


def limit():
    """Limit the memory of this process, from now on; Linux only.  No core is written where it crashes."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        taken = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        free = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard - taken)
        limits.update(theirs=taken + int(THEIRS * free), all=taken + free)
        allow("all")


def allow(name):
    """Limit the memory to what is "theirs", before the learner's code runs, or to "all", after it; nothing happens in a process without limits."""
    if limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limits[name], resource.getrlimit(resource.RLIMIT_AS)[1]))
