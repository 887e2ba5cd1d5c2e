"""cost stage; see docs/architecture.md."""
