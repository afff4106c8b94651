"""C sources that every lowered component is built with."""
