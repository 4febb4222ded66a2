"""mattelike: mark one thing in one photo, get mattes of its kind in all the others."""

__version__ = "0.1.0"
