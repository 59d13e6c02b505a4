"""Theano's ``theano.misc``: what programs import from there."""
