"""Python names of the enums of router.pxd."""
