"""sparsity stage; see docs/architecture.md."""
