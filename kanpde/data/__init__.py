"""Measured data: tables, and networks that are fitted to them."""
