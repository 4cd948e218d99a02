from collections.abc import Sequence

def placed(quantity: int, queues: Sequence[tuple[int, int | None, int]],
           crosses: bool = True) -> tuple[int, list[int]]: ...
