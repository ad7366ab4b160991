"""Models with the fields, constraints and indexes that Django projects use on PostgreSQL."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import functions


class Author(models.Model):
    name = models.CharField(max_length=50, db_index=True)
    email = models.EmailField(unique=True)
    slug = models.SlugField(default="")
    born = models.DateField(null=True)


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2)
    tags = ArrayField(models.CharField(max_length=10), default=list)
    meta = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)
    pages = models.PositiveIntegerField(default=1)
    length = models.DurationField(null=True)
    number = models.UUIDField(null=True)
    cover = models.BinaryField(null=True)
    readers = models.ManyToManyField(Author, related_name="reads")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_ok"),
            models.UniqueConstraint(fields=["title", "author"], name="title_author"),
            models.UniqueConstraint(fields=["title"], condition=models.Q(pages__gt=100), name="long_title"),
        ]
        indexes = [
            models.Index(fields=["-at", "title"], name="at_title"),
            models.Index(functions.Lower("title"), name="lower_title"),
        ]
