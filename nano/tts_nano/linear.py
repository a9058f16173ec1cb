"""Linear: a matrix product whose rows do not depend on how many other rows there are.

OpenBLAS adds up a row in one order for few rows and in another for many: below some number of rows
it takes another kernel. So each matrix is tried once, when it is loaded, for the number from which
on a row's bits stay the same, and smaller batches are padded to it. Where no such number is found
(OpenBLAS's AVX2 kernels: there the order depends on the row's place in a tile) `exact` is False:
results then differ in the last bits with the batch, and tokens with a probability of about 1e-6.
"""

from __future__ import annotations

import numpy as np

from tts_nano.arrays import Floats

MOST_ROWS_PADDED = 16
_LANES = 16
"""Outputs are padded to a multiple of this: odd remainders take kernels of their own."""


class Linear:
    """y = x W + b."""

    def __init__(self, weight: Floats, bias: Floats | None = None) -> None:
        """`weight` as stored by torch: [outputs, inputs]."""
        self.outputs, self.inputs = weight.shape
        self.width = -(-self.outputs // _LANES) * _LANES
        """Columns of the product: outputs, then zeros."""
        # Transposed in memory, not only in name: BLAS is faster, and right for fewer rows.
        self._weight = np.zeros((self.inputs, self.width), np.float32)
        self._weight[:, : self.outputs] = weight.T
        self._bias: Floats | None = None
        if bias is not None:
            self._bias = np.zeros(self.width, np.float32)
            self._bias[: self.outputs] = bias
        floor = _fewest_rows(self._weight)
        self.exact = floor is not None
        self.fewest = floor or 2
        """Rows that a product has at least."""

    def __call__(self, x: Floats, rows: int, out: Floats) -> Floats:
        """The first `rows` rows of the product, a view of `out`: [rows, outputs].

        `x` [>= MOST_ROWS_PADDED, inputs] and `out` [>= MOST_ROWS_PADDED, width] are buffers whose
        rows past `rows` may be read and overwritten.
        """
        padded = max(rows, self.fewest)
        np.matmul(x[:padded], self._weight, out=out[:padded])
        result = out[:rows]
        if self._bias is not None:
            result += self._bias
        return result[:, : self.outputs]


def _fewest_rows(weight: Floats) -> int | None:
    """Rows from which on a row's bits do not depend on their number; None: none was found."""
    inputs = weight.shape[0]
    many = 97  # odd, so that tiles of every size leave a remainder
    x = np.random.default_rng(0).standard_normal((many, inputs), dtype=np.float32)
    sample = weight[:, :256] if weight.size > 1 << 24 else weight  # a big output matrix is costly
    full = x @ sample
    fewest = 2
    for rows in (*range(2, MOST_ROWS_PADDED + 1), 24, 33, 48, 64, 95):
        for first in (0, many - rows):
            if not np.array_equal(x[first : first + rows] @ sample, full[first : first + rows]):
                fewest = rows + 1
    return fewest if fewest <= MOST_ROWS_PADDED else None
