"""What six calls ``six.moves``: names that moved between Python 2 and 3."""
# ruff: noqa: F401  (re-exports)
import builtins
import configparser
import pickle as cPickle
import queue
from functools import reduce
from io import StringIO

xrange, range, map, zip, filter, input = range, range, map, zip, filter, input  # noqa: A001
