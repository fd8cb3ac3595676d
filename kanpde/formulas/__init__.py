"""Formulas read off accurate networks, and their proofs."""
