"""The residual vector of a problem with its loss, gradient and Jacobian, and the weights of the conditions."""
