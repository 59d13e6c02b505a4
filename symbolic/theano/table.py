"""Where Theano's modules are in this package, and the names that programs of its time use.

An entry says where names are looked for, in order, and names of its own: ``'module:name'``, or a value.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Place:
    """A module of Theano's.

    Attributes
    ----------
    sources : tuple of str
        Modules of this package in which its names are looked for; one that isn't there is passed over.
    names : dict
        Names that aren't found in this way.
    functions : frozenset of str
        Names that are functions where a submodule has the same one.
    """

    sources: tuple[str, ...] = ()
    names: dict[str, Any] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()


def _at(*sources: str, **names: Any) -> Place:
    functions = frozenset(names.pop("functions", ()))
    return Place(tuple(f"symbolic.{s}" if s else "symbolic" for s in sources), names, functions)


_TYPES = {"TensorType": "symbolic.types:TensorType", "TensorVariable": "symbolic.tensor.var:TensorVariable",
          "TensorConstant": "symbolic.graph:Constant", "SharedVariable": "symbolic.shared:SharedVariable",
          "TensorSharedVariable": "symbolic.shared:SharedVariable", "ScalarSharedVariable": "symbolic.shared:SharedVariable",
          "Elemwise": "symbolic.ops.elementwise:Elementwise", "CAReduce": "symbolic.ops.reduce:Reduce",
          "DimShuffle": "symbolic.ops.shape:DimShuffle", "Sum": "symbolic.theano.legacy:Sum"}
_SUBTENSOR = {"Subtensor": "symbolic.ops.subtensor:Subtensor", "IncSubtensor": "symbolic.ops.subtensor:IncSubtensor",
              "AdvancedSubtensor": "symbolic.ops.subtensor:AdvancedSubtensor",
              "AdvancedIncSubtensor": "symbolic.ops.subtensor:AdvancedIncSubtensor",
              "AdvancedSubtensor1": "symbolic.ops.subtensor:AdvancedSubtensor",
              "AdvancedIncSubtensor1": "symbolic.ops.subtensor:AdvancedIncSubtensor"}
_MODES = {"Mode": "symbolic.mode:Mode", "get_mode": "symbolic.mode:as_mode",
          "get_default_mode": "symbolic.theano.legacy:get_default_mode", "FAST_RUN": "FAST_RUN", "FAST_COMPILE": "FAST_COMPILE",
          "predefined_modes": "symbolic.theano.legacy:predefined_modes"}
_GPU = _at("theano.gpu")

MODULES: dict[str, Place] = {
    "theano": _at("", "theano.legacy", theano="theano:", ifelse="theano.ifelse:", tensor="theano.tensor:",
                  __version__="1.0.5"),
    "theano.version": _at(version="1.0.5", full_version="1.0.5", git_revision="", short_version="1.0.5"),
    "theano.ifelse": _at(ifelse="symbolic.ops.ifelse:ifelse", IfElse="symbolic.ops.ifelse:IfElse"),
    "theano.gradient": _at("gradient"),
    "theano.printing": _at("printing"),
    "theano.configparser": _at("theano.legacy", "config", config="symbolic.config:config",
                               change_flags="symbolic.config:change_flags"),
    "theano.configdefaults": _at("theano.legacy", config="symbolic.config:config"),
    "theano.updates": _at(OrderedUpdates="symbolic.shared:OrderedUpdates"),
    "theano.raise_op": _at(Raise="symbolic.ops.watch:Assert"),
    "theano.scalar": _at("theano.scalars"),
    "theano.scalar.basic": _at("theano.scalars"),
    "theano.typed_list": _at("typed_list"),
    "theano.sparse": _at("sparse"),
    "theano.sparse.basic": _at("sparse"),
    "theano.sparse.sandbox": _at(),
    "theano.sparse.sandbox.sp": _at("sparse.sandbox.sp"),
    # ---- graphs ----
    "theano.gof": _at("gof"),
    "theano.gof.graph": _at("gof.graph"),
    "theano.gof.fg": _at("gof.fg"),
    "theano.gof.op": _at("gof.op"),
    "theano.gof.opt": _at("gof.opt"),
    "theano.gof.optdb": _at("gof.opt"),
    "theano.gof.toolbox": _at("gof.toolbox"),
    "theano.gof.type": _at("gof.type"),
    "theano.gof.null_type": _at("gof.null_type"),
    "theano.gof.utils": _at("gof.utils"),
    # ---- compiling ----
    "theano.compile": _at("compile", "function", "mode", "monitor", "theano.legacy", functions=("function",), **_MODES,
                          optdb="symbolic.gof.opt:optdb", ProfileStats="symbolic.profiling:ProfileStats"),
    "theano.compile.function": _at("function"),
    "theano.compile.pfunc": _at("function", "theano.legacy", pfunc="symbolic.function:function"),
    "theano.compile.io": _at("function", "theano.legacy"),
    "theano.compile.ops": _at("compile.ops", "theano.legacy"),
    "theano.compile.builders": _at("compile.builders"),
    "theano.compile.sharedvalue": _at("shared"),
    "theano.compile.mode": _at("mode", "theano.legacy", **_MODES, optdb="symbolic.gof.opt:optdb"),
    "theano.compile.nanguardmode": _at("monitor"),
    "theano.compile.debugmode": _at("monitor"),
    "theano.compile.monitormode": _at("monitor", detect_nan="symbolic.theano.legacy:detect_nan"),
    "theano.compile.profiling": _at("profiling", "profile"),
    "theano.compile.profilemode": _at("profiling", "profile"),
    "theano.compile.function_module": _at("compiled", Function="symbolic.compiled:Function"),
    "theano.scan_module": _at("theano.loops", functions=("scan",)),
    "theano.scan_module.scan": _at("theano.loops"),
    "theano.scan_module.scan_op": _at(Scan="symbolic.ops.scan:Scan"),
    "theano.scan_module.scan_views": _at("theano.loops"),
    "theano.scan_module.scan_utils": _at("theano.loops"),
    # ---- tensors ----
    "theano.tensor": _at("tensor", "theano.tensors", functions=("sort",), **_TYPES, **_SUBTENSOR),
    "theano.tensor.basic": _at("tensor", "theano.tensors", **_TYPES),
    "theano.tensor.var": _at("tensor", "theano.tensors", **_TYPES),
    "theano.tensor.type": _at("types"),
    "theano.tensor.sharedvar": _at("shared", tensor_constructor="symbolic.shared:shared", **_TYPES),
    "theano.tensor.elemwise": _at("theano.tensors", **_TYPES),
    "theano.tensor.subtensor": _at("tensor", **_SUBTENSOR),
    "theano.tensor.opt": _at("gof.opt", "ops.watch"),
    "theano.tensor.utils": _at("theano.tensors"),
    "theano.tensor.blas": _at("theano.tensors"),
    "theano.tensor.extra_ops": _at("tensor.extra_ops"),
    "theano.tensor.sort": _at("tensor.sort"),
    "theano.tensor.nlinalg": _at("tensor.nlinalg"),
    "theano.tensor.slinalg": _at("tensor.slinalg"),
    "theano.tensor.xlogx": _at("tensor.xlogx", "theano.tensors"),
    "theano.tensor.fft": _at("tensor.fft"),
    "theano.tensor.inplace": _at("tensor"),
    "theano.tensor.io": _at("tensor.io"),
    "theano.tensor.shared_randomstreams": _at("tensor.shared_randomstreams"),
    "theano.tensor.raw_random": _at("tensor.shared_randomstreams"),
    "theano.tensor.nnet": _at("tensor.nnet"),
    "theano.tensor.nnet.nnet": _at("tensor.nnet"),
    "theano.tensor.nnet.sigm": _at("tensor.nnet"),
    "theano.tensor.nnet.bn": _at("tensor.nnet.bn", "tensor.nnet"),
    "theano.tensor.nnet.conv": _at("tensor.nnet.conv", "tensor.nnet"),
    "theano.tensor.nnet.conv3d2d": _at("tensor.nnet.conv3d2d"),
    "theano.tensor.nnet.abstract_conv": _at("tensor.nnet.abstract_conv", "tensor.nnet"),
    "theano.tensor.nnet.neighbours": _at("tensor.nnet.neighbours", "tensor.nnet"),
    "theano.tensor.nnet.blocksparse": _at("tensor.nnet.blocksparse"),
    "theano.tensor.nnet.ctc": _at("tensor.nnet.ctc"),
    "theano.tensor.signal": _at("tensor.signal"),
    "theano.tensor.signal.pool": _at("tensor.signal.pool"),
    "theano.tensor.signal.downsample": _at("tensor.signal.downsample"),
    "theano.tensor.signal.conv": _at("tensor.signal.conv"),
    # ---- the rest ----
    "theano.sandbox": _at("sandbox"),
    "theano.sandbox.rng_mrg": _at("sandbox.rng_mrg", MRG_RandomStreams2="symbolic.sandbox.rng_mrg:MRG_RandomStreams"),
    "theano.sandbox.linalg": _at("tensor.nlinalg", "tensor.slinalg"),
    "theano.sandbox.linalg.ops": _at("tensor.nlinalg", "tensor.slinalg"),
    "theano.sandbox.neighbours": _at("tensor.nnet.neighbours", "tensor.nnet"),
    "theano.sandbox.nvcc_compiler": _GPU,
    **{f"theano.sandbox.cuda{part}": _GPU for part in (
        "", ".basic_ops", ".dnn", ".var", ".type", ".blas", ".nnet", ".nvcc_compiler", ".opt", ".rng_curand", ".tests")},
    "theano.sandbox.gpuarray": _GPU,
    **{f"theano.gpuarray{part}": _GPU for part in (
        "", ".basic_ops", ".dnn", ".type", ".blas", ".nnet", ".elemwise", ".fft", ".linalg", ".opt", ".pool", ".ctc")},
    "theano.misc": _at("misc"),
    "theano.misc.strutil": _at("misc.strutil"),
    "theano.misc.safe_asarray": _at("misc.safe_asarray"),
    "theano.misc.pkl_utils": _at("misc.pkl_utils"),
    "theano.compat": _at("theano.compat"),
    "theano.compat.six": _at("theano.six"),
    "theano.compat.six.moves": _at("theano.six_moves"),
    "theano.compat.python2x": _at("theano.compat"),
    "theano.tests": _at("tests"),
    "theano.tests.unittest_tools": _at("tests.unittest_tools"),
    "theano.tests.breakpoint": _at("tests.breakpoint"),
    "theano.d3viz": _at("d3viz", "printing"),
}

_T = """dot log sqrt as_tensor_variable switch sqr sum matrix exp grad mean cast concatenate set_subtensor alloc eq tanh maximum
argmax arange clip zeros lscalar scalar neq ivector tensor4 constant zeros_like stack max reshape vector ones log1p square
inc_subtensor abs_ le ones_like transpose gt as_tensor flatten TensorType iscalar all lt ge tensordot minimum add TensorVariable
sgn prod diag tensor3 eye unbroadcast ftensor4 min lmatrix shape_padright lvector repeat Elemwise TensorConstant cos floor
batched_dot outer bitwise_or patternbroadcast isnan tile power round shape_padleft sin identity_like squeeze gammaln imatrix mod
addbroadcast expm1 erfc std argsort isinf or_ inv ceil erfcx pow join Rop sort cumsum any arctan jacobian largest""".split()

#: Names that programs use, those used most first, and the modules they import.
NAMES: tuple[str, ...] = (
    *"""theano.config theano.function theano.shared theano.grad theano.scan theano.clone theano.dot theano.Apply theano.Op
    theano.Variable theano.In theano.Mode theano.OpFromGraph theano._asarray theano.change_flags theano.OrderedUpdates theano.pp
    theano.Out theano.Param theano.function_dump theano.generic theano.map theano.reduce theano.foldl theano.foldr
    theano.scan_checkpoints theano.Constant theano.Type theano.version theano.__version__ theano.theano
    theano.config.floatX theano.config.compute_test_value theano.config.device theano.config.mode theano.config.profile
    theano.config.optimizer theano.config.exception_verbosity theano.config.on_unused_input theano.config.allow_gc
    theano.config.blas.ldflags theano.config.gcc.cxxflags theano.config.cxx theano.config.openmp theano.config.dnn.enabled
    theano.config.warn.round theano.config.lib.cnmem
    theano.ifelse.ifelse theano.compile.SharedVariable theano.compile.ops.as_op theano.compile.mode.Mode
    theano.compile.nanguardmode.NanGuardMode theano.compile.MonitorMode theano.compile.DebugMode theano.compile.profiling
    theano.compile.sharedvalue.SharedVariable theano.compile.get_default_mode theano.compile.io.In
    theano.gof.Variable theano.gof.graph.ancestors theano.gof.graph.inputs theano.gof.local_optimizer theano.gof.Op
    theano.gof.Apply theano.gof.FunctionGraph theano.gof.PatternSub theano.gof.optdb theano.gof.op.get_test_value
    theano.gof.toolbox.ReplaceValidate theano.gof.COp theano.gof.null_type.NullType
    theano.gradient.grad_not_implemented theano.gradient.grad_undefined theano.gradient.grad_clip theano.gradient.DisconnectedType
    theano.gradient.disconnected_grad theano.gradient.verify_grad theano.gradient.jacobian theano.gradient.zero_grad
    theano.printing.debugprint theano.printing.Print theano.printing.pydotprint theano.printing.pp
    theano.printing.min_informative_str theano.configparser.change_flags theano.configparser.config
    theano.scan_module.until theano.scan_module.scan_utils.clone theano.scan_module.scan theano.typed_list.TypedListType
    theano.sandbox.rng_mrg.MRG_RandomStreams theano.sandbox.cuda.cuda_available theano.sandbox.cuda.basic_ops.gpu_contiguous
    theano.sandbox.cuda.dnn.dnn_conv theano.sandbox.cuda.dnn.dnn_available theano.sandbox.cuda.var.CudaNdarraySharedVariable
    theano.sandbox.cuda.type.CudaNdarrayType theano.gpuarray.dnn.dnn_conv theano.gpuarray.GpuArrayType
    theano.sparse.structured_dot theano.sparse.dense_from_sparse theano.sparse.SparseType
    theano.tests.unittest_tools.verify_grad theano.tests.unittest_tools.seed_rng theano.tests.breakpoint.PdbBreakpoint
    theano.misc.strutil.render_string theano.misc.pkl_utils.dump theano.compat.OrderedDict theano.compat.six.string_types
    theano.compat.six.moves.xrange theano.compat.python2x.OrderedDict
    theano.tensor.opt.Assert theano.tensor.opt.register_specialize theano.tensor.opt.register_canonicalize
    theano.tensor.shared_randomstreams.RandomStreams theano.tensor.sharedvar.SharedVariable
    theano.tensor.sharedvar.TensorSharedVariable theano.tensor.var.TensorVariable theano.tensor.xlogx.xlogx
    theano.tensor.extra_ops.repeat theano.tensor.extra_ops.cumprod theano.tensor.extra_ops.to_one_hot
    theano.tensor.nlinalg.diag theano.tensor.nlinalg.matrix_inverse theano.tensor.nlinalg.det theano.tensor.nlinalg.trace
    theano.tensor.slinalg.Solve theano.tensor.slinalg.cholesky theano.tensor.slinalg.solve theano.tensor.slinalg.Cholesky
    theano.tensor.slinalg.solve_lower_triangular theano.tensor.slinalg.kron
    theano.tensor.nnet.sigmoid theano.tensor.nnet.softmax theano.tensor.nnet.softplus theano.tensor.nnet.conv2d
    theano.tensor.nnet.conv.conv2d theano.tensor.nnet.relu theano.tensor.nnet.categorical_crossentropy
    theano.tensor.nnet.binary_crossentropy theano.tensor.nnet.AbstractConv2d_gradInputs
    theano.tensor.nnet.abstract_conv.AbstractConv2d_gradInputs theano.tensor.nnet.conv3d
    theano.tensor.nnet.bn.batch_normalization_train theano.tensor.nnet.bn.batch_normalization_test
    theano.tensor.signal.downsample.max_pool_2d theano.tensor.signal.pool.pool_2d theano.tensor.signal.pool.pool_3d
    theano.tensor.signal.conv.conv2d""".split(),
    *(f"theano.tensor.{name}" for name in _T),
)

#: Methods and attributes of variables that programs use.
METHODS = """shape name ndim mean dtype sum dimshuffle reshape astype T max size type min flatten transpose tag broadcastable eval
copy owner std dot argmax nonzero norm""".split()
