"""C sources that integer programs are built with."""
