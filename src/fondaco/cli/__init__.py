"""The commands. Modules here import heavy libraries inside their commands only, so that `fondaco --help` stays quick."""
