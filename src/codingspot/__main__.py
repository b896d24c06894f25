"""``python -m codingspot``: the command line."""

from codingspot.cli.app import app

if __name__ == "__main__":
    app()
