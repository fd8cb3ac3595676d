"""From plain options, as YAML gives them, to objects."""
