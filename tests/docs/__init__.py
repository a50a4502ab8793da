"""The README is checked here: what repeats code is generated from it, and what can be run is run."""
