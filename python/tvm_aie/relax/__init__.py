"""relax stage; see docs/architecture.md."""
