"""Python names of the enums of integrity.pxd."""
