"""A Django project, which makes answers of its exceptions, in a process of its own: Django is configured once."""

from __future__ import annotations

import json
import subprocess
import sys

PROJECT = """
import asyncio, json, sys
import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import Http404
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None,
    MIDDLEWARE=["custodes.asgi.django.tell_route"],
)
django.setup()

def fails(request):
    raise KeyError("price")

async def fails_too(request):
    raise ValueError("price")

def is_not_there(request):
    raise Http404

urlpatterns = [path("sync", fails), path("async", fails_too), path("gone", is_not_there)]

from custodes import Custodes
from custodes.testing.asgi import converse, http_scope

async def run():
    custodes = Custodes("sqlite://")
    await custodes.start()
    app = custodes.wrap(get_asgi_application())
    statuses = [(await converse(app, http_scope(place))).status for place in ("/sync", "/async", "/gone")]
    await custodes.traffic.flush()
    errors = (await custodes.traffic.list_error_groups()).items
    await custodes.stop()
    print(json.dumps([statuses, sorted([error.route, error.title.partition(" ")[0]] for error in errors)]))

asyncio.run(run())
"""


def test_what_a_view_raises_is_an_error_with_its_traceback_and_what_answers_is_none():
    done = subprocess.run([sys.executable, "-c", PROJECT], capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    statuses, errors = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [500, 500, 404]
    assert errors == [["/async", "ValueError"], ["/sync", "KeyError"]]
