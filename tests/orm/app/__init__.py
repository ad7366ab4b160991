"""The Django application that django_test.py migrates and works with."""
