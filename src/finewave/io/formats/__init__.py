"""One file per format: ``open_file(path, options)`` and ``save_file(scene, path, options)``."""
