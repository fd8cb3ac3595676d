"""Families of one-dimensional functions, one a file."""
