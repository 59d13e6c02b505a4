"""Theano's ``theano.tests``: what programs and their tests import from there."""
