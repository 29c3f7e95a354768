"""Pure functions from a labelled Dataset to a plotly figure given as a plain dictionary; nothing is computed here."""
