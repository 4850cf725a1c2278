"""A bound, written once as a Python function of names, and used in four ways.

`def bound(tau, t): return 8 / (tau**2 * (t + 1))` names instance fields, parameters and measures. Called with sympy
symbols it becomes an expression, which is shown as LaTeX, evaluated on arrays, evaluated in interval arithmetic and
solved for where it stops being vacuous. A function that takes the instance itself is not a formula: it is only called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from theorylab.errors import PluginError


class Formula:
    """A function of named quantities. `instance_name` is the name by which the plugin calls the whole instance."""

    def __init__(self, function: Callable[..., Any], instance_name: str, where: str) -> None:
        self.function = function
        self.where = where
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            raise PluginError(f"{where}: name the quantities the bound needs, instead of *args or **kwargs.")
        self.names = tuple(p.name for p in parameters)
        self.is_symbolic = instance_name not in self.names

    @cached_property
    def expression(self) -> Any:
        """The sympy expression (a tuple of expressions for a range)."""
        if not self.is_symbolic:
            raise PluginError(f"{self.where} takes the whole instance: it is a function, not a formula.")
        import sympy

        symbols = [sympy.Symbol(name, real=True) for name in self.names]
        try:
            value = self.function(*symbols)
        except Exception as error:
            raise PluginError(
                f"{self.where} cannot be read as a formula ({type(error).__name__}: {error}). "
                "Use sympy's functions (sympy.log, sympy.Max), or take the instance to make it a plain function."
            ) from error
        if value is None:
            return None
        return tuple(map(sympy.sympify, value)) if isinstance(value, tuple) else sympy.sympify(value)

    @cached_property
    def _numeric(self) -> Callable[..., Any]:
        if not self.is_symbolic or self.expression is None:
            return self.function
        from functools import reduce

        import numpy as np
        import sympy

        # sympy writes Min(a, b) as amin((a, b), axis=0), which fails where a and b only broadcast.
        extremes = {
            "amin": lambda values, axis: reduce(np.minimum, values),
            "amax": lambda values, axis: reduce(np.maximum, values),
        }
        return sympy.lambdify(self.names, self.expression, modules=[extremes, "numpy"])

    @cached_property
    def _interval(self) -> Callable[..., Any]:
        import sympy
        from mpmath import iv, mp

        def number(value: Any) -> Any:  # sympy prints its floats as raw tuples
            return iv.mpf(mp.make_mpf(value)) if isinstance(value, tuple) else iv.mpf(value)

        def largest(*values: Any) -> Any:
            ends = [iv.mpf(v) for v in values]
            return iv.mpf([max(e.a for e in ends).a, max(e.b for e in ends).b])

        def smallest(*values: Any) -> Any:
            return -largest(*(-iv.mpf(v) for v in values))

        names = {
            "mpf": number, "exp": iv.exp, "log": iv.log, "sqrt": iv.sqrt, "Max": largest, "Min": smallest,
            "amax": largest, "amin": smallest, "pi": iv.pi,
        }  # fmt: skip
        return sympy.lambdify(self.names, self.expression, modules=[names, "mpmath"])

    def prepare(self) -> None:
        """Compile now what would be compiled at the first call."""
        _ = self._numeric

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluated in float64 on scalars or arrays. Raises KeyError naming the first quantity that is missing."""
        return self._numeric(*(values[name] for name in self.names))

    def interval(self, values: Mapping[str, Any]) -> Any:
        """Evaluated with mpmath intervals, at iv's present precision. Values that are floats count as exact."""
        from mpmath import iv

        arguments = [values[name] for name in self.names]
        if not self.is_symbolic:
            return iv.mpf(float(self.function(*arguments)))
        value = self._interval(*(iv.mpf(a) if isinstance(a, (int, float)) else a for a in arguments))
        return iv.mpf(value) if isinstance(value, (int, float)) else value

    def latex(self) -> str | None:
        """LaTeX of the formula, or None for a plain function."""
        if not self.is_symbolic or self.expression is None:
            return None
        import sympy

        return str(sympy.latex(self.expression))
