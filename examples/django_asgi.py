"""Custodes around a Django project, as its ``asgi.py`` would have it, with the project in the same file for brevity.

Run: uvicorn examples.django_asgi:app --no-proxy-headers --lifespan on

Django's own ASGI app does not know the lifespan protocol; Custodes speaks it in Django's place, and where the server
speaks none either, it starts with the first request.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from custodes import Custodes

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="only-for-this-example",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["custodes.asgi.django.tell_route"],
)
django.setup()


async def hello(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"hello": name})


@csrf_exempt
async def login(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"welcome": request.method == "POST"})


urlpatterns = [path("hello/<str:name>", hello), path("login", login)]

custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.source("stripe", secrets=["whsec_only_for_this_example"])
custodes.limit("5/minute", by="ip", route="/login")

paid: list[str] = []


@custodes.webhook("stripe", "invoice.paid")
async def invoice_paid(event) -> None:
    paid.append(event.json()["id"])


app = custodes.wrap(get_asgi_application())
