"""Django 5: migrations there and back, the ORM, introspection, fixtures, schema changes.

Argument: the port of a server. Prints "ok", or ends with a traceback. What is expected is what PostgreSQL 15 gives.
"""

import datetime
import io
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import django
from django.conf import settings

# Migrations are written next to the models, so work on a copy.
scratch = tempfile.mkdtemp(prefix="cairn-django-")
shutil.copytree(Path(__file__).parent / "app", Path(scratch) / "app")
(Path(scratch) / "app" / "migrations").mkdir()
(Path(scratch) / "app" / "migrations" / "__init__.py").touch()
sys.path.insert(0, scratch)
sys.dont_write_bytecode = True

settings.configure(
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.postgres",
        "app",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": "127.0.0.1",
            "PORT": sys.argv[1],
        }
    },
)
django.setup()

from app.models import Author, Book  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.postgres.aggregates import ArrayAgg  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Sum, Value, Window  # noqa: E402
from django.db.models.functions import Coalesce, Concat, Length, Rank, StrIndex  # noqa: E402


def migrate():
    call_command("makemigrations", "app", verbosity=0)
    call_command("migrate", verbosity=0)
    out = io.StringIO()
    call_command("makemigrations", "app", check_changes=True, dry_run=True, stdout=out)
    assert "No changes" in out.getvalue(), out.getvalue()


def introspect():
    with connection.cursor() as cursor:
        look = connection.introspection
        constraints = look.get_constraints(cursor, "app_book")
        assert {"price_ok", "title_author", "long_title", "at_title", "lower_title"} <= set(constraints)
        assert constraints["at_title"]["orders"] == ["DESC", "ASC"], constraints["at_title"]
        assert look.get_primary_key_columns(cursor, "app_book") == ["id"]
        assert look.get_relations(cursor, "app_book") == {"author_id": ("id", "app_author")}
        assert [s["column"] for s in look.get_sequences(cursor, "app_book")] == ["id"]
    out = io.StringIO()
    call_command("inspectdb", stdout=out)
    assert "class AppBook(models.Model):" in out.getvalue(), out.getvalue()
    assert "models.DecimalField(max_digits=8, decimal_places=2)" in out.getvalue(), out.getvalue()


def work():
    ann = Author.objects.create(name="Ann", email="a@x", born=datetime.date(1990, 1, 2))
    bob = Author.objects.create(name="Bob", email="b@x")
    books = [
        Book(
            title=f"T{i}",
            author=ann if i % 2 else bob,
            price=i,
            tags=["x", f"y{i}"],
            meta={"k": i, "n": {"z": [1, 2]}},
            pages=i * 3,
            length=datetime.timedelta(hours=i),
            number=uuid.UUID(int=i),
            cover=b"\x00a",
        )
        for i in range(10)
    ]
    Book.objects.bulk_create(books)
    Book.objects.order_by("id").first().readers.add(ann, bob)
    totals = Author.objects.annotate(n=Count("books"), sum=Sum("books__price"), mean=Avg("books__pages"))
    assert list(totals.order_by("name").values_list("name", "n", "sum", "mean")) == [
        ("Ann", 5, 25, 15.0),
        ("Bob", 5, 20, 12.0),
    ]
    assert Book.objects.filter(tags__contains=["y3"]).count() == 1
    assert Book.objects.filter(meta__n__z__0=1, meta__k__gt=3).count() == 6
    assert Book.objects.filter(title__icontains="t1").count() == 1
    assert Book.objects.filter(title__regex="^T[0-3]").count() == 4
    assert Book.objects.filter(length__gt=datetime.timedelta(hours=5)).count() == 4
    rank = Window(Rank(), partition_by="author", order_by=F("price").desc())
    ranks = Book.objects.annotate(rank=rank).order_by("id").values_list("rank", flat=True)
    assert list(ranks) == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert Book.objects.update(price=F("price") + 1) == 10
    with transaction.atomic():
        locked = Book.objects.select_for_update(skip_locked=True, of=("self",)).filter(price__gt=2)
        assert len(locked) == 8
        try:
            with transaction.atomic():
                Author.objects.create(name="x", email="a@x")
            raise AssertionError("a second a@x")
        except IntegrityError:
            pass
    assert Author.objects.update_or_create(email="c@x", defaults={"name": "C"})[1]
    assert not Author.objects.get_or_create(email="c@x")[1]
    first = Book.objects.order_by("id").first()
    Book.objects.bulk_create(
        [Book(id=first.id, title="U", author=ann, price=3)],
        update_conflicts=True,
        update_fields=["title"],
        unique_fields=["id"],
    )
    read = Book.objects.filter(Exists(Author.objects.filter(reads=OuterRef("pk"))))
    assert list(read.values_list("title", flat=True)) == ["U"]
    values = Book.objects.annotate(
        at_t=StrIndex("title", Value("U")),
        whole=Concat("title", Value("-"), "author__name"),
        size=Length("title"),
        some=Coalesce("number", Value(uuid.UUID(int=1))),
    )
    row = values.order_by("id").values_list("at_t", "whole", "size", "some")[0]
    assert row == (1, "U-Bob", 1, uuid.UUID(int=0)), row
    titles = Author.objects.filter(books__isnull=False).annotate(
        t=ArrayAgg("books__title", order_by="books__title")
    )
    assert titles.order_by("id")[0].t == ["T1", "T3", "T5", "T7", "T9"]
    # Outside a transaction this is a cursor WITH HOLD.
    assert sum(1 for _ in Book.objects.iterator(chunk_size=3)) == 10
    ann.delete()
    assert Book.objects.count() == 5


def fixtures():
    call_command("flush", interactive=False, verbosity=0)
    author = Author.objects.create(name="Z", email="z@x")
    Book.objects.create(title="Z", author=author, price=1, cover=b"\x01", meta={"a": None})
    path = str(Path(scratch) / "data.json")
    call_command("dumpdata", "app", output=path, verbosity=0)
    Book.objects.all().delete()
    call_command("loaddata", path, verbosity=0)
    assert bytes(Book.objects.get().cover) == b"\x01"
    User.objects.create_superuser("admin", "a@x", "p")
    assert User.objects.filter(groups__isnull=True).count() == 1


def field(name, field, model=Author):
    field.set_attributes_from_name(name)
    field.model = model
    return field


def alter():
    with connection.schema_editor() as editor:
        old = Author._meta.get_field("slug")
        nullable = field("slug", models.SlugField(max_length=80, null=True))
        editor.alter_field(Author, old, nullable)
        renamed = field("slug2", models.TextField(default="z"))
        editor.alter_field(Author, nullable, renamed)
        age = field("age", models.IntegerField(default=7))
        editor.add_field(Author, age)
        unique = field("age", models.BigIntegerField(unique=True, null=True))
        editor.alter_field(Author, age, unique)
        editor.remove_field(Author, unique)
        editor.alter_field(Author, renamed, old)
        editor.alter_db_table(Author, "app_author", "app_writer")
        editor.alter_db_table(Author, "app_writer", "app_author")


try:
    migrate()
    introspect()
    work()
    fixtures()
    alter()
    call_command("migrate", "app", "zero", verbosity=0)
    call_command("migrate", "app", verbosity=0)
finally:
    shutil.rmtree(scratch)
print("ok")
