"""The commands. Modules here import heavy libraries inside their commands only: `fondaco --help` stays quick."""
