"""Routes as a team writes them in its tests; `tests/test_tapes.py` lets respx itself serve them too."""

import json

import httpx
import respx


def routes(router: respx.Router) -> None:
    """Five routes, and one whose answer is computed."""
    router.get("http://shop.internal/items/tea", params={"size": "2"}).respond(json={"sku": "tea", "left": 3})
    router.post("http://shop.internal/charges", json={"amount": "9.50"}).mock(
        return_value=httpx.Response(201, json={"b": 1})
    )
    many = router.get(host="shop.internal", path="/rates")
    many.side_effect = [httpx.Response(503), httpx.Response(200, content=json.dumps({"eur": 1}))]
    router.get(url__regex=r"http://shop\.internal/users/\d+").respond(text="someone")
    router.delete("http://shop.internal/carts/1").return_value = httpx.Response(204)
    router.get("http://shop.internal/now").respond(text=str(len(json.__name__)))
