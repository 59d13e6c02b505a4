"""Kernels as readable C: shared values get a name once, loop-invariant ones leave the loop."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from symbolic.codegen.kernel_ir import Accumulate, Finish, For, Init, Kernel, Let, Stmt, Store
from symbolic.codegen.printer import CTYPES, literal, operation, parenthesised
from symbolic.errors import NotSupported
from symbolic.scalar import COMBINERS, Expr, cost, sym, toposort
from symbolic.types import is_complex, is_float

_INDENT = "    "
#: instructions above which a value computed twice, or in a loop that doesn't change it, gets a name
_WORTH_A_NAME = 4
_OMP = {"add": "+", "mul": "*", "max": "max", "min": "min", "and": "&", "or": "|"}


class Renderer:
    """Writes the body of one kernel."""

    def __init__(self, kernel: Kernel, threshold: int, openmp: bool) -> None:
        self.kernel = kernel
        self.threshold = threshold
        self.openmp = openmp
        self.lines: list[str] = []
        self.count = 0
        self.written = {b.name for b in kernel.buffers if b.written}
        self.blocks: set[str] = set()

    def text(self) -> str:
        """Return the statements of the kernel."""
        self._block(self.kernel.body, 1, {}, {n for n, _ in self.kernel.params})
        return "\n".join(self.lines)

    def _emit(self, depth: int, line: str) -> None:
        self.lines.append(_INDENT * depth + line)

    # ---------------------------------------------------------------------------------- expressions

    def _bind(self, roots: Iterable[Expr], depth: int, names: dict[Expr, str], bound: set[str],
              hoisting: bool = False) -> None:
        """Name what is worth a name and can be computed here."""
        roots = list(roots)
        uses: Counter[Expr] = Counter()
        order = toposort(roots)
        for n in order:
            uses.update(n.args)
        movable: dict[Expr, bool] = {}
        for n in order:
            movable[n] = all(movable[a] for a in n.args) and (n.op != "sym" or n.arg in bound)
            if n.op == "load" and (n.arg in self.written or n.arg in self.blocks) and hoisting:
                movable[n] = False
        for n in order:
            if n in names or not n.args or not movable[n] or (n in roots and not hoisting and uses[n] == 0):
                continue
            heavy = n.op == "load" or cost(n) >= _WORTH_A_NAME and n.op not in ("load",)
            frontier = hoisting and heavy and any(not movable[p] for p in _parents(n, order))
            shared = not hoisting and uses[n] > 1 and (n.op == "load" or cost(n) > 1)
            call = not hoisting and n.op not in ("load", "select", "cast") and _is_call(n)
            if frontier or shared or call:
                self.count += 1
                name = f"v{self.count}"
                self._emit(depth, f"const {CTYPES[n.dtype]} {name} = {self._expr(n, names)};")
                names[n] = name

    def _expr(self, root: Expr, names: dict[Expr, str]) -> str:
        done: dict[Expr, str] = {}
        for n in toposort([root]):
            if n in names:
                done[n] = names[n]
            elif n.op == "const":
                done[n] = literal(n.arg, n.dtype)
            elif n.op == "sym":
                done[n] = n.arg
            elif n.op == "load":
                done[n] = f"{n.arg}[{done[n.args[0]]}]"
            else:
                done[n] = operation(n, [parenthesised(a, done[a]) for a in n.args])
        return done[root]

    # ----------------------------------------------------------------------------------- statements

    def _block(self, stmts: Sequence[Stmt], depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        names, bound = dict(names), set(bound)
        for s in stmts:
            if isinstance(s, Let):
                self._bind([s.value], depth, names, bound)
                self._emit(depth, f"const {CTYPES[s.value.dtype]} {s.name} = {self._expr(s.value, names)};")
                bound.add(s.name)
            elif isinstance(s, Store):
                self._bind([s.value], depth, names, bound)
                target = f"{s.buffer}[{self._expr(s.offset, names)}]"
                value = self._expr(s.value, names)
                if s.accumulate not in (None, "add"):
                    raise NotSupported(f"the C target doesn't scatter with {s.accumulate}")
                self._emit(depth, f"{target} {'+=' if s.accumulate else '='} {value};")
            elif isinstance(s, Init):
                self._init(s, depth, bound)
            elif isinstance(s, Accumulate):
                self._bind([s.value], depth, names, bound)
                self._accumulate(s, depth, names)
            elif isinstance(s, Finish):
                self._finish(s, depth)
                bound.add(s.name)
            else:
                self._for(s, depth, names, bound)

    def _init(self, s: Init, depth: int, bound: set[str]) -> None:
        c, start = CTYPES[s.dtype], literal(COMBINERS[s.combiner].identity(s.dtype), s.dtype)
        bound.add(s.name)
        if s.size is None:
            self._emit(depth, f"{c} {s.name} = {start};")
            if _guards_nan(s.combiner, s.dtype):
                self._emit(depth, f"int {s.name}_nan = 0;")
            return
        self.blocks.add(s.name)
        self._emit(depth, f"{c} {s.name}[{s.size}];")
        self._emit(depth, f"for (int64_t k = 0; k < {s.size}; k++) {s.name}[k] = {start};")

    def _accumulate(self, s: Accumulate, depth: int, names: dict[Expr, str]) -> None:
        target = s.name if s.offset is None else f"{s.name}[{self._expr(s.offset, names)}]"
        value = self._expr(s.value, names)
        if s.offset is None and _guards_nan(s.combiner, s.value.dtype):
            self.count += 1
            x = f"v{self.count}"
            sign = ">" if s.combiner == "max" else "<"
            self._emit(depth, f"const {CTYPES[s.value.dtype]} {x} = {value};")
            self._emit(depth, f"{target} = {x} {sign} {target} ? {x} : {target};")
            self._emit(depth, f"{s.name}_nan |= {x} != {x};")
        elif s.combiner in ("add", "mul", "and", "or"):
            sign = {"add": "+", "mul": "*", "and": "&", "or": "|"}[s.combiner]
            self._emit(depth, f"{target} {sign}= {value};")
        else:
            joined = COMBINERS[s.combiner].combine(sym("now", s.value.dtype), sym("x", s.value.dtype))
            self._emit(depth, f"{{ const {CTYPES[s.value.dtype]} x = {value}, now = {target};")
            self._emit(depth, f"  {target} = {self._expr(joined, {})}; }}")

    def _finish(self, s: Finish, depth: int) -> None:
        value = s.acc
        if _guards_nan(s.combiner, s.dtype):
            value = f"{s.acc}_nan ? NAN : {s.acc}"
        self._emit(depth, f"const {CTYPES[s.dtype]} {s.name} = ({CTYPES[s.dtype]})({value});")

    def _for(self, s: For, depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        self._bind(_values(s.body), depth, names, bound, hoisting=True)
        self._pragma(s, depth)
        step = f"{s.axis}++" if s.step == 1 else f"{s.axis} += {s.step}"
        start, stop = self._expr(s.start, names), self._expr(s.stop, names)
        self._emit(depth, f"for (int64_t {s.axis} = {start}; {s.axis} < {stop}; {step}) {{")
        self._block(s.body, depth + 1, names, bound | {s.axis})
        self._emit(depth, "}")

    def _pragma(self, s: For, depth: int) -> None:
        clauses = ""
        for acc, combiner in s.reductions:
            dtype = self._accumulator(acc)
            if is_complex(dtype):
                return
            clauses += f" reduction({_OMP[combiner]}:{acc})"
            if _guards_nan(combiner, dtype):
                clauses += f" reduction(|:{acc}_nan)"
        if s.kind == "parallel" and self.openmp:
            simd = " simd" if s.simd else ""
            self._emit(depth, f"#pragma omp parallel for{simd} schedule(static) num_threads(threads) if(threads > 1)")
        elif s.simd:
            self._emit(depth, f"#pragma omp simd{clauses}")

    def _accumulator(self, name: str) -> str:
        stack: list[Stmt] = list(self.kernel.body)
        while stack:
            s = stack.pop()
            if isinstance(s, Init) and s.name == name:
                return s.dtype
            if isinstance(s, For):
                stack.extend(s.body)
        raise KeyError(name)


def _guards_nan(combiner: str, dtype: str) -> bool:
    """Whether a maximum keeps nan aside: comparing with it in the loop would stop vectorisation."""
    return combiner in ("max", "min") and is_float(dtype)


def _parents(n: Expr, order: Sequence[Expr]) -> list[Expr]:
    return [p for p in order if n in p.args]


def _is_call(n: Expr) -> bool:
    return cost(n) - sum(cost(a) for a in n.args) >= 10


def _values(stmts: Sequence[Stmt]) -> list[Expr]:
    found: list[Expr] = []
    for s in stmts:
        if isinstance(s, For):
            found += _values(s.body)
        elif isinstance(s, (Let, Store, Accumulate)):
            found.append(s.value)
    return found


def render_kernel(kernel: Kernel, name: str, threshold: int = 200_000, openmp: bool = True) -> str:
    """Return the C function of a kernel."""
    body = Renderer(kernel, threshold, openmp).text()
    params = [f"{'' if b.written else 'const '}{CTYPES[b.dtype]} *restrict {b.name}" for b in kernel.buffers]
    params += [f"{CTYPES[d]} {n}" for n, d in kernel.params] + ["int threads"]
    return f"void {name}({', '.join(params)})\n{{\n{_INDENT}(void)threads;\n{body}\n}}\n"
