where: str
