"""Boards and servers over ssh: elat's own worker there, brought as one wheel."""
