"""Configuration is data: checked frozen dataclasses, presets as functions, TOML and `key=value` on top."""
