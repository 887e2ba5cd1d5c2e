"""quantize stage; see docs/architecture.md."""
