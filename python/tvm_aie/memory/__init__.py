"""memory stage; see docs/architecture.md."""
