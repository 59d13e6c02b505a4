"""Kernels as readable C: shared values get a name once, loop-invariant ones leave the loop."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from symbolic.codegen.kernel_ir import Accumulate, Finish, For, Init, Kernel, Let, Stmt, Store
from symbolic.codegen.printer import CTYPES, LongParts, literal, operation, parenthesised
from symbolic.errors import NotSupported
from symbolic.scalar import ATOMS, COMBINERS, Expr, const, cost, sym, toposort
from symbolic.types import is_complex, is_float

_INDENT = "    "
#: instructions above which a value computed twice, or in a loop that doesn't change it, gets a name
_WORTH_A_NAME = 4
#: instructions from which an atom is a function, not an instruction of its own
_FUNCTION = 10
#: a multiple of the number of elements that a vectorised loop computes at once
_LANES = 64
_OMP = {"add": "+", "mul": "*", "max": "max", "min": "min", "and": "&", "or": "|"}


class Renderer:
    """Writes the C functions of one kernel.

    A loop that threads may share becomes a function over a range of its iterations: called once by a small job, which
    then pays nothing for OpenMP, and once by each thread for a large one. The loop is compiled only once.
    """

    def __init__(self, kernel: Kernel, openmp: bool) -> None:
        self.kernel = kernel
        self.openmp = openmp
        self.lines: list[str] = []
        self.outlined: list[str] = []
        self.count = 0
        self.vector = False  # whether a loop that is vectorised is being written
        self.written = {b.name for b in kernel.buffers if b.written}
        self.blocks: dict[str, str] = {}  # accumulators of many elements, with their dtypes
        self.lets: dict[str, str] = {}  # what is named outside of all loops, with its C type
        self.params = [f"{'' if b.written else 'const '}{CTYPES[b.dtype]} *restrict {b.name}" for b in kernel.buffers]
        self.params += [f"{CTYPES[d]} {n}" for n, d in kernel.params]
        self.arguments = [b.name for b in kernel.buffers] + [n for n, _ in kernel.params]

    def text(self) -> str:
        """Return the functions of the kernel, the one to call last."""
        self._block(self.kernel.body, 1, {}, {n for n, _ in self.kernel.params})
        head = signature("void", "KERNEL", [*self.params, "int threads"])
        used = "" if any("threads" in line for line in self.lines) else f"{_INDENT}(void)threads;\n"
        return "".join(self.outlined) + f"{head}\n{{\n{used}" + "\n".join(self.lines) + "\n}\n"

    def _shared(self, s: For, depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        """Write a parallel loop: its function, and who calls it."""
        params, arguments = list(self.params), list(self.arguments)
        for block, dtype in self.blocks.items():
            params.append(f"{CTYPES[dtype]} *restrict {block}")
            arguments.append(block)
        for name, c in self.lets.items():
            params.append(f"{c} {name}")
            arguments.append(name)
        name = f"KERNEL_part{len(self.outlined) or ''}"
        outer, self.lines = self.lines, []
        each = s.grain or s.step
        grain = const(each, "int64")
        start, stop = sym("begin") * grain, sym("end") * grain
        if each != 1:
            stop = Expr("select", (Expr("lt", (stop, s.stop), None, "bool"), stop, s.stop), None, "int64")
        bounds = {n for n, _ in self.kernel.params} | set(self.lets) | {"begin", "end"}
        body = For(s.axis, start, stop, s.body, "plain", s.step, s.reductions, s.simd, s.grain)
        kept, self.lets = self.lets, {}
        self._block([body], 1, {}, bounds)
        self.lets = kept
        head = signature("static __attribute__((noinline)) void", name, [*params, "int64_t begin", "int64_t end"])
        self.outlined.append(f"{head}\n{{\n" + "\n".join(self.lines) + "\n}\n\n")
        self.lines = outer
        count = self._expr(s.stop, names) if each == 1 else f"({self._expr(s.stop, names)} + {each - 1}) / {each}"
        many = "" if len(self.outlined) == 1 else len(self.outlined)
        self._emit(depth, f"const int64_t count{many} = {count};")
        self._emit(depth, "if (threads == 1) {")
        self._call(depth + 1, name, [*arguments, "0", f"count{many}"])
        self._emit(depth, "} else {")
        # a team and who is who: 2 of 30 ms less to compile than `parallel for`, which divides once more
        self._emit(depth + 1, "#pragma omp parallel num_threads(threads)")
        self._emit(depth + 1, "{")
        self._emit(depth + 2, "const int64_t member = omp_get_thread_num(), team = omp_get_num_threads();")
        borders = [f"count{many} * member / team", f"count{many} * (member + 1) / team"]
        if s.simd:
            # at multiples of a vector's length: the last elements of a part would be computed one by one, in the last digit
            # not always as in a vector, so that results would depend on the number of threads
            borders = [f"count{many} / {_LANES} * member / team * {_LANES}",
                       f"member + 1 == team ? count{many} : count{many} / {_LANES} * (member + 1) / team * {_LANES}"]
        self._call(depth + 2, name, [*arguments, *borders])
        self._emit(depth + 1, "}")
        self._emit(depth, "}")

    def _call(self, depth: int, name: str, arguments: Sequence[str]) -> None:
        self.lines += broken(_INDENT * depth + f"{name}(", arguments, ");")

    def _emit(self, depth: int, line: str) -> None:
        self.lines.append(_INDENT * depth + line)

    # ---------------------------------------------------------------------------------- expressions

    def _bind(self, roots: Iterable[Expr], depth: int, names: dict[Expr, str], bound: set[str],
              hoisting: bool = False) -> None:
        """Name what is worth a name and can be computed here."""
        roots = list(roots)
        uses: Counter[Expr] = Counter()
        order = toposort(roots)
        read = set(roots)  # what stands below a name isn't read here
        for n in reversed(order):
            if n in read and n not in names:
                read.update(n.args)
                uses.update(n.args)
        order = [n for n in order if n in read]
        movable: dict[Expr, bool] = {}
        for n in order:
            movable[n] = n in names or all(movable[a] for a in n.args) and (n.op != "sym" or n.arg in bound)
            if n.op == "load" and (n.arg in self.written or n.arg in self.blocks) and hoisting:
                movable[n] = False
        parents: dict[Expr, list[Expr]] = {}
        for n in order:
            for a in n.args if n not in names else ():
                parents.setdefault(a, []).append(n)
        for n in order:
            if n in names or not n.args or not movable[n] or (n in roots and not hoisting and uses[n] == 0):
                continue
            heavy = n.op == "load" or cost(n) >= _WORTH_A_NAME and n.op not in ("load",)
            frontier = hoisting and heavy and any(not movable[p] for p in parents.get(n, ()))
            shared = not hoisting and uses[n] > 1 and (n.op == "load" or cost(n) > 1)
            call = not hoisting and n.op not in ("load", "select", "cast") and _is_call(n)
            if frontier or shared or call:
                self.count += 1
                name = f"v{self.count}"
                self._emit(depth, f"const {CTYPES[n.dtype]} {name} = {self._expr(n, names)};")
                names[n] = name

    def _expr(self, root: Expr, names: dict[Expr, str]) -> str:
        done: dict[Expr, str] = {}
        order = toposort([root])
        parts = LongParts(order)
        for n in order:
            if n in names:
                done[n] = names[n]
            elif n.op == "const":
                done[n] = literal(n.arg, n.dtype)
            elif n.op == "sym":
                done[n] = n.arg
            elif n.op == "load":
                done[n] = f"{n.arg}[{done[n.args[0]]}]"
            else:
                done[n] = operation(n, [parenthesised(a, done[a]) for a in n.args], self.vector)
            done[n] = parts.part(n, done[n])
        return parts.text(done[root])

    # ----------------------------------------------------------------------------------- statements

    def _block(self, stmts: Sequence[Stmt], depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        names, bound = dict(names), set(bound)
        for s in stmts:
            if isinstance(s, Let):
                self._bind([s.value], depth, names, bound)
                self._emit(depth, f"const {CTYPES[s.value.dtype]} {s.name} = {self._expr(s.value, names)};")
                bound.add(s.name)
                if depth == 1:
                    self.lets[s.name] = CTYPES[s.value.dtype]
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
            elif s.kind == "parallel" and depth == 1 and self.openmp:
                self._shared(s, depth, names, bound)
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
        self.blocks[s.name] = s.dtype
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
            # in this order: gcc 12 doesn't vectorise a test of the accumulator for nan, which made maxima 6 times slower
            joined = COMBINERS[s.combiner].combine(sym("x", s.value.dtype), sym("now", s.value.dtype))
            self._emit(depth, f"{{ const {CTYPES[s.value.dtype]} x = {value}, now = {target};")
            self._emit(depth, f"  {target} = {self._expr(joined, {})}; }}")

    def _finish(self, s: Finish, depth: int) -> None:
        value = s.acc
        if _guards_nan(s.combiner, s.dtype):
            value = f"{s.acc}_nan ? NAN : {s.acc}"
        self._emit(depth, f"const {CTYPES[s.dtype]} {s.name} = ({CTYPES[s.dtype]})({value});")

    def _for(self, s: For, depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        self._bind(_values(s.body), depth, names, bound, hoisting=True)
        end = s.stop
        if s.grain:
            end = sym(f"{s.axis}_stop")
            self._emit(depth, f"const int64_t {end.arg} = {self._expr(s.stop, names)};")
            bound.add(end.arg)
        self._pragma(s, depth)
        step = f"{s.axis}++" if s.step == 1 else f"{s.axis} += {s.step}"
        start, stop = self._expr(s.start, names), parenthesised(end, self._expr(end, names))
        self._emit(depth, f"for (int64_t {s.axis} = {start}; {s.axis} < {stop}; {step}) {{")
        outer, self.vector = self.vector, s.simd
        self._block(s.body, depth + 1, names, bound | {s.axis})
        self.vector = outer
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
        if s.simd:
            self._emit(depth, f"#pragma omp simd{_lanes(s)}{clauses}")

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


def _lanes(s: For) -> str:
    """Return the clause that makes a loop use the widest registers, if it has functions or waits for its own sums.

    Other loops wait for memory anyway.
    """
    order = toposort(_values(s.body))
    if s.reductions:
        found = {n.dtype for n in order}
    else:
        found = {n.dtype for n in order if n.op in ATOMS and ATOMS[n.op].cost >= _FUNCTION}
    bits = 32 if "float32" in found else 64 if "float64" in found else 0
    return f" simdlen(SYM_LANES_{bits})" if bits else ""


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


def broken(head: str, items: Sequence[str], tail: str) -> list[str]:
    """Return ``head item, item, ... tail`` in lines of at most 100 columns where items allow."""
    indent = len(head) - len(head.lstrip())
    line, lines = head, []
    for k, item in enumerate(items):
        text = item + (", " if k + 1 < len(items) else tail)
        if len(line) + len(text.rstrip()) > 100 and line != head:
            lines.append(line.rstrip())
            line = " " * indent + 2 * _INDENT
        line += text
    return [*lines, line]


def signature(result: str, name: str, params: Sequence[str]) -> str:
    """Return the head of a C function."""
    return "\n".join(broken(f"{result} {name}(", params, ")"))


@lru_cache(maxsize=256)
def render_kernel(kernel: Kernel, openmp: bool = True) -> str:
    """Return the C functions of a kernel; the last one, called ``KERNEL``, is the one to call. Layers often have equal ones."""
    return Renderer(kernel, openmp).text()
