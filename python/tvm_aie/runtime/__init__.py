"""runtime stage; see docs/architecture.md."""
