"""Conditions: residuals that must vanish on regions, and the standard ones, on boundaries and on interfaces."""
