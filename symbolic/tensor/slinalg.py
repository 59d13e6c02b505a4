"""Theano's ``theano.tensor.slinalg``: linear algebra as SciPy names it."""
from symbolic.ops.decompositions import eigvalsh
from symbolic.ops.expm import expm
from symbolic.ops.lu import lu, lu_factor, lu_solve
from symbolic.ops.matrix import kron
from symbolic.ops.norms import block_diag
from symbolic.ops.solve import (
    Cholesky,
    cho_solve,
    cholesky,
    solve,
    solve_lower_triangular,
    solve_symmetric,
    solve_triangular,
    solve_upper_triangular,
)
from symbolic.ops.solve import solve_op as Solve

__all__ = ["Cholesky", "Solve", "block_diag", "cho_solve", "cholesky", "eigvalsh", "expm", "kron", "lu", "lu_factor", "lu_solve",
           "solve",
           "solve_lower_triangular", "solve_symmetric", "solve_triangular", "solve_upper_triangular"]
