"""Array types: what the engine's arrays hold. Shapes are given where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]
Records = npt.NDArray[Any]
