"""Built-in plugins. Each is found through the entry-point group `theorylab.plugins`, like anybody else's."""
