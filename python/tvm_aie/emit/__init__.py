"""emit stage; see docs/architecture.md."""
