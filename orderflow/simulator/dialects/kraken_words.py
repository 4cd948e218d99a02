"""Words that all parts of the Kraken dialect use."""

# REST spells assets in Kraken's own way.
REST_NAMES = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR", "DOGE": "XXDG"}


class Refused(Exception):
    """A refusal in Kraken's own words; `fields` says what it is about."""

    def __init__(self, message: str, **fields):
        super().__init__(message)
        self.message, self.fields = message, fields
