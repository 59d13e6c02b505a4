"""Spatial transformers: ``T.nnet.spatial.grid_sample`` and the grids that it reads at."""
from symbolic.ops.spatial import affine_grid, grid_sample, thin_plate_spline_grid

__all__ = ["affine_grid", "grid_sample", "thin_plate_spline_grid"]
