"""What the user sees: one report object, printed, written as CSV and JSON, traced and drawn."""
