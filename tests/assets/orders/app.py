"""A small shop: FastAPI, SQLAlchemy on SQLite, one outbound call; two of its requests fail."""

import os
import secrets
import time
import uuid
from datetime import UTC, datetime

import httpx
from fastapi import FastAPI, Request, Response
from lib.totals import discount
from lib.wire import to_json
from sqlalchemy import create_engine, text

engine = create_engine(f"sqlite:///{os.environ.get('ORDERS_DB', 'orders.sqlite')}")
app = FastAPI()


@app.post("/orders")
async def order(request: Request) -> Response:
    asked = await request.json()
    async with httpx.AsyncClient() as client:
        stock = (await client.get(f"http://stock.internal/items/{asked['item']}")).json()
    with engine.begin() as db:
        price = db.execute(text("SELECT price FROM items WHERE name = :n"), {"n": asked["item"]}).scalar_one()
        total = discount(price, asked.get("coupon"))
        db.execute(
            text("INSERT INTO orders (id, item, total, at) VALUES (:i, :n, :t, CURRENT_TIMESTAMP)"),
            {"i": str(uuid.uuid4()), "n": asked["item"], "t": float(total)},
        )
    answer = {"total": total, "left": stock["left"], "token": secrets.token_hex(4), "at": datetime.now(UTC).isoformat()}
    return Response(to_json(answer), 201, media_type="application/json")


@app.get("/slow")
def slow() -> dict[str, float]:
    started = time.perf_counter()
    time.sleep(30)
    return {"took": round(time.perf_counter() - started, 1)}
