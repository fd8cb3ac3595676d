"""Networks with fewer edges and nodes: scores, penalty, pruning."""
