"""The command line: ``main`` parses, ``commands`` prints, ``service`` does the work."""
