"""Smaller networks: scores of edges and nodes, a gauge, a penalty, and pruning."""
