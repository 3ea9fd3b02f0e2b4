"""What two services or more use, and what names no business noun."""

__version__ = "0.1.0"
