"""The CUDA target: kernels as CUDA's C++, devices that run them (CuPy's, or a CPU that emulates one), programs over both."""
