"""Django's ORM on SQLite: recorded without a setting, and run again from the rows alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import orders
import pytest

from shadowlab import replay
from shadowlab.case import Case, open_case
from shadowlab.replay import Runner
from shadowlab.replay.fixture import parse
from shadowlab.source import Source

MODELS = """\
from django.db import models


class Customer(models.Model):
    email = models.CharField(max_length=80, unique=True)
    credit = models.DecimalField(max_digits=8, decimal_places=2, default=0)


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    item = models.CharField(max_length=40)
    opened_at = models.DateTimeField(auto_now_add=True)
"""
SHOP = """\
import json
import os

import django
import shadowlab_recorder
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import models, transaction
from django.http import JsonResponse
from django.urls import path

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, INSTALLED_APPS=["store"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DB"]}},
)
django.setup()

from store.models import Customer, Order  # noqa: E402  # Django is set up first


def buy(request):
    asked = json.loads(request.body)
    with transaction.atomic():
        customer = Customer.objects.select_for_update().get(email=asked["email"])
        order, made = Order.objects.get_or_create(customer=customer, item=asked["item"])
        Customer.objects.filter(pk=customer.pk).update(credit=models.F("credit") - 1)
        customer.refresh_from_db()
        discount = 10 / int(customer.credit + 1)
    names = list(customer.orders.select_related("customer").order_by("-id").values_list("item", flat=True))
    return JsonResponse({"order": order.pk, "made": made, "orders": names, "discount": discount})


def close(request, email):
    count, _ = Customer.objects.get(email=email).orders.all().delete()
    left = Customer.objects.filter(orders__isnull=True).count()
    return JsonResponse({"closed": count, "left": left, "first": Order.objects.earliest("id").item})


urlpatterns = [path("buy", buy), path("close/<str:email>", close)]
app = shadowlab_recorder.record(
    get_wsgi_application(), directory="recordings", share=1.0, database="SHOP_DB", environment=("SHOP_DB",)
)
"""
PRODUCTION = """\
import io
import json

import shop
from django.db import connection

with connection.schema_editor() as editor:
    editor.create_model(shop.Customer)
    editor.create_model(shop.Order)
ann = shop.Customer.objects.create(email="ann@example.com", credit=3)
bob = shop.Customer.objects.create(email="bob@example.com", credit=0)
for item in ("tea", "cups"):
    shop.Order.objects.create(customer=bob, item=item)


def ask(path, body=b""):
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "shop", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)),
    }
    told = []
    b"".join(shop.app(environ, lambda status, headers, *_: told.append(int(status.split()[0]))))
    return told[0]


codes = [
    ask("/buy", json.dumps({"email": "ann@example.com", "item": "tea"}).encode()),
    ask("/buy", json.dumps({"email": "bob@example.com", "item": "tea"}).encode()),
    ask("/buy", json.dumps({"email": "eve@example.com", "item": "tea"}).encode()),
    ask("/close/ann@example.com"),
    ask("/close/bob@example.com"),
]
shop.app.recorder.flush()
print(json.dumps(codes))
"""

VIEWS = """\
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)


def now(request):
    return HttpResponse("now")


async def later(request):
    return HttpResponse(await sync_to_async("later".upper)())


urlpatterns = [path("now", now), path("later", later)]
app = get_KIND_application()
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Source]:
    """A case with five requests that a Django service got, and the service."""
    folder = tmp_path_factory.mktemp("django")
    toml = f'[service]\nname = "shop"\nentrypoint = "shop:app"\nkind = "wsgi"\nframes = ["{folder}/shop/"]\n'
    source = orders.repository(folder / "shop", {"shadowlab.toml": toml, "shop.py": SHOP, "store/models.py": MODELS})
    (folder / "production.py").write_text(PRODUCTION)
    environment = {**os.environ, "SHOP_DB": str(folder / "shop.sqlite"), "PYTHONPATH": str(folder / "shop")}
    ran = subprocess.run(
        [sys.executable, "production.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == [200, 500, 500, 200, 500]
    case = open_case(folder / "case")
    replay.take_in(case, [folder / "recordings"])
    return case, source


def test_statements_rows_and_transactions_of_the_orm_are_kept(recorded: tuple[Case, Source]) -> None:
    case, _ = recorded
    bought = replay.load(case, replay.listed(case)[0].id).database
    assert bought is not None
    assert bought.incomplete == ()
    assert bought.rows["store_customer"][0]["email"] == "ann@example.com"
    assert [write.table for write in bought.writes] == ["store_order", "store_customer"]
    assert {step.what for step in bought.transactions} >= {"begin", "commit"}


def test_each_request_of_the_orm_comes_out_the_same_from_its_rows_alone(recorded: tuple[Case, Source]) -> None:
    case, source = recorded
    ids = [one.id for one in replay.listed(case)]
    done = replay.replay(case, ids, source=source, revision="HEAD", times=2 * len(ids))
    assert [run.divergence for run in done.runs] == [None] * 5
    assert (done.outcome, [run.status for run in done.runs]) == ("reproduced", [200, 500, 500, 200, 500])
    assert done.error is not None
    assert done.error.type == "ZeroDivisionError"


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_views_of_either_kind_are_run_below_either_interface(tmp_path: Path, kind: str) -> None:
    toml = f'[service]\nname = "shop"\nentrypoint = "shop:app"\nkind = "{kind}"\n'
    source = orders.repository(tmp_path / "shop", {"shadowlab.toml": toml, "shop.py": VIEWS.replace("KIND", kind)})
    asked = [{"kind": kind, "time": "2026-05-04T10:00:00Z", "request": {"method": "GET", "path": path}}
             for path in ("/now", "/later")]  # fmt: skip
    with Runner(source.path, source.service("HEAD")) as runner:
        runs = [runner.run(parse(each, where="a test"), repeats=1, perturb=False)[0] for each in asked]
    assert [(run.status, run.body) for run in runs] == [(200, b"now"), (200, b"LATER")]
    assert not [event for run in runs for event in run.events if event[0] == "threads"]
