"""Networks as plain functions of other libraries."""
