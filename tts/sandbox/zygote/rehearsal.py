"""Try a step in a throwaway child first, because half of a failed one cannot be undone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable


def rehearse(step: Callable[[], object]) -> None:
    """Run `step` in a forked child; raise the OSError that it raised there."""
    child = os.fork()
    if child == 0:
        status = errno.EINVAL
        try:
            step()
            status = 0
        except OSError as error:
            status = error.errno or errno.EINVAL
        except ValueError:  # what `resource` raises for a limit above the hard one
            status = errno.EPERM
        finally:
            os._exit(min(status, 255))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(abs(code), os.strerror(code) if code > 0 else f"ended by signal {-code}")
