"""`python -m modelrollout`."""

from modelrollout.cli.main import main

if __name__ == "__main__":
    main()
