"""Lines of ALTO and PAGE pages."""
