from decimal import Decimal


def discount(price: float, coupon: str | None) -> object:
    if coupon == "HALF":
        return Decimal(str(price)) / 2
    if coupon == "FREE":
        return price / 0
    return price
