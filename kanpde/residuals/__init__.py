"""One residual vector of a problem, its loss, gradient and Jacobian, and the weights of its conditions."""
