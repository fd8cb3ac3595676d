"""What a derivative is: elementwise functions, jets, and the algebra of residuals."""
