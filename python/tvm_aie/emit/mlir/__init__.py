"""The mlir-aie design of a program: typed operations, builder, parser, and the way back (docs/mlir-aie.md)."""
