"""How an incident is made: what the bundled incidents share. An incident's own `run/story.py` says the rest."""
