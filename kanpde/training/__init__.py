"""The course of a run: what was asked, where it is, and the steps between."""
