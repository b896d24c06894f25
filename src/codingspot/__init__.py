"""Where in a language model's weights does the ability to code live, and how specific is that place?"""

__version__ = "0.1.0"
