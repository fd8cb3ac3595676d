"""Derivatives: elementwise functions, jets, and the algebra of residuals."""
