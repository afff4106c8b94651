"""`python -m npuc`: the command line, for interpreters whose scripts folder is not on the path."""

from npuc.cli import main

if __name__ == "__main__":
    main()
