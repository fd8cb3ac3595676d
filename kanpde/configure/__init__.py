"""Objects from plain options, as read from YAML."""
