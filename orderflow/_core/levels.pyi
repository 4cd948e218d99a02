def read_levels(
    text: bytes,
    price_decimals: int,
    quantity_decimals: int,
    reader: str = "best",
    objects: bool = False,
    capacity: int = 4096,
    padding: bytes = ...,
) -> tuple[int, list[tuple[int, int]], int]: ...
