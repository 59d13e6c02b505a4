"""Products of blocks: ``T.nnet.blocksparse.sparse_block_dot``."""
from symbolic.ops.blocksparse import sparse_block_dot, sparse_block_gemv, sparse_block_outer

__all__ = ["sparse_block_dot", "sparse_block_gemv", "sparse_block_outer"]
