"""``config.tiered``: a function is there at once, in the interpreter, and becomes native when that is compiled.

Compiling goes on in a thread, one function at a time. The change happens between two calls: a call holds the function's lock
while it is interpreted, and whoever waited for it looks again. So no update of a shared variable is lost on the way.
"""
from __future__ import annotations

import os
import threading
import warnings
from contextvars import copy_context
from typing import Any

from symbolic.codegen.compiler import Compiler
from symbolic.codegen.native import entry
from symbolic.compiled import LATER, Function, InterpretedFunction, Memory, compiled_graph, native_function
from symbolic.fgraph import FunctionGraph
from symbolic.spec import Spec


class _Turn:
    """Who compiles; a child of a fork begins anew, for the thread that held it isn't there."""

    def __init__(self) -> None:
        self.begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        self.lock = threading.Lock()


_turn = _Turn()


class TieredFunction(InterpretedFunction):
    """A function that is interpreted until its native code is compiled.

    Attributes
    ----------
    native : Function or None
        The compiled function, once it is there.
    error : Exception or None
        Why there will be none. The next call warns of it, once, and goes on in the interpreter.
    """

    def __init__(self, spec: Spec, compiler: Compiler) -> None:
        super().__init__(spec)
        entry(compiler)  # here: a fork while a thread holds the lock of loading would leave it locked
        self.native: Function | None = None
        self.error: Exception | None = None
        self._told = False
        self._lock = threading.RLock()  # a step in Python may call the function
        self._done = threading.Event()
        context = copy_context()  # the settings of who asked for it
        threading.Thread(target=context.run, args=(self._compile, compiler), name=f"compile {spec.name}", daemon=True).start()

    def _compile(self, compiler: Compiler) -> None:
        try:
            with _turn.lock:
                made = native_function(self.spec, compiler)
            with self._lock:  # between two calls
                self.native = made
        except Exception as error:  # noqa: BLE001  (whatever it is, the interpreter computes the function)
            self.error = error
        finally:
            self._done.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until compiling has ended; return whether the function is native now.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        """
        self._done.wait(timeout)
        return self.native is not None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function on values of its inputs, by position or by name."""
        if self.native is None:
            if self.error is not None and not self._told:
                self._told = True
                warnings.warn(f"{self.name}: it stays in the interpreter, for it couldn't be compiled: {self.error}",
                              stacklevel=2)
            with self._lock:
                if self.native is None:
                    return super().__call__(*args, **kwargs)
        return self.native(*args, **kwargs)

    @property
    def source(self) -> str:
        return "" if self.native is None else self.native.source

    @property
    def source_path(self) -> str | None:
        return None if self.native is None else self.native.source_path

    @property
    def graph(self) -> FunctionGraph:
        """What is computed now, see `compiled_graph`."""
        return self.interpreted_graph if self.native is None else compiled_graph(self.native)

    def memory(self) -> Memory:
        return super().memory() if self.native is None else self.native.memory()

    def free(self) -> None:
        super().free()
        if self.native is not None:
            self.native.free()


LATER.append(TieredFunction)
