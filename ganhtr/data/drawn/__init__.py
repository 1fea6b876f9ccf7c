"""The built-in lines, drawn with fonts."""
