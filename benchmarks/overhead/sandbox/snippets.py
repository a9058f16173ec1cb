"""Twenty-four harmless snippets of the kind that verifiers write: what a sandbox must not slow.

`@` is a number that differs in each round. Without it a process that has run a snippet before would
answer from sympy's cache, which no stream of different problems would let it do.
"""

from __future__ import annotations

PLAIN = [
    """
print(17 * 23@)
""",
    """
total = sum(i * i for i in range(1, 101 + @))
print(total)
""",
    """
from math import comb, factorial
print(comb(10 + @, 3), factorial(7))
""",
    """
def gcd(a, b):
    while b:
        a, b = b, a % b
    return a
print(gcd(1071 * @, 462))
""",
    """
from fractions import Fraction
print(Fraction(@, 3) + Fraction(1, 6))
""",
    """
primes = [n for n in range(2, 200 + @) if all(n % d for d in range(2, int(n**0.5) + 1))]
print(len(primes), primes[-1])
""",
    """
import math
x = (5 + math.sqrt(25 - 24)) / 2
print(round(x + @, 6), math.isclose(x, 3))
""",
    """
from itertools import permutations
print(sum(1 for p in permutations(range(6)) if p[0] < p[1]) + @)
""",
    """
seen = {}
for word in 'the cat and the hat @'.split():
    seen[word] = seen.get(word, 0) + 1
print(sorted(seen.items()))
""",
    """
assert 2 + @ == -5, 'the step adds wrongly'
""",
    """
print('before', @)
print(undefined_total)
""",
    """
values = [1, 2, @]
print(values[5])
""",
    """
print(@ / 0)
""",
]
SYMPY = [
    """
from sympy import symbols, solve
x = symbols('x')
print(solve(x**2 - (7 + @)*x + 10 + 5*@, x))
""",
    """
from sympy import *
x = symbols('x')
print(simplify((x**2 - 1)/(x - 1)), expand((x + 2 + @)**4))
""",
    """
import sympy as sp
x = sp.Symbol('x')
print(sp.diff(x**3 * sp.sin(@*x), x))
""",
    """
import sympy as sp
x = sp.Symbol('x')
print(sp.integrate(x * sp.exp(-(3 + @)*x), (x, 0, sp.oo)))
""",
    """
from sympy import symbols, Eq, solve
a, b = symbols('a b')
print(solve([Eq(2*a + b, 11 + 3*@), Eq(a - b, 1)], [a, b]))
""",
    """
from sympy import Matrix
m = Matrix([[4 + @, 1], [2, 3 + @]])
print(m.eigenvals(), m.det())
""",
    """
from sympy import factorint, isprime, divisors
print(factorint(5040 * (@ + 1)), isprime(7919), divisors(84))
""",
    """
from sympy import sqrt, Rational, nsimplify
print(sqrt(50 * (@ + 1)) + sqrt(8), Rational(3, 4) + 1)
""",
    """
from sympy import symbols, limit, sin, oo
x = symbols('x')
print(limit(sin((3 + @)*x)/x, x, 0), limit((1 + (2 + @)/x)**x, x, oo))
""",
]
NUMPY = [
    """
import numpy as np
a = np.array([[3.0, 1], [1, 2]])
print(np.linalg.solve(a, [9.0 + @, 8]))
""",
]
SCIPY = [
    """
from scipy.optimize import brentq
print(round(brentq(lambda x: x**3 - x - 2 - @ / 100, 1, 2), 9))
""",
]


def numbered(snippets: list[str], number: int) -> list[str]:
    """The snippets for one round."""
    return [code.strip().replace("@", str(number)) for code in snippets]
