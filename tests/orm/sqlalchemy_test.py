"""SQLAlchemy 2 and Alembic: tables made from models, ORM work, reflection, autogenerate.

Argument: the port of a server. Prints "ok", or ends with a traceback. What is expected is what PostgreSQL 15 gives.
"""

import datetime
import decimal
import sys
import uuid

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

engine = sa.create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{sys.argv[1]}/postgres")


class Base(orm.DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(30), comment="who")
    email: orm.Mapped[str | None] = orm.mapped_column(unique=True)
    balance: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(12, 2), server_default="0")
    data: orm.Mapped[dict | None] = orm.mapped_column(pg.JSONB)
    tags: orm.Mapped[list[str] | None] = orm.mapped_column(pg.ARRAY(sa.Text))
    made: orm.Mapped[datetime.datetime] = orm.mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    key: orm.Mapped[uuid.UUID] = orm.mapped_column(default=uuid.uuid4)
    posts: orm.Mapped[list["Post"]] = orm.relationship(back_populates="user", cascade="all, delete-orphan")
    __table_args__ = (
        sa.CheckConstraint("balance >= 0", name="users_balance_ok"),
        sa.Index("users_lower", sa.text("lower(name)")),
        sa.Index(
            "users_part", "name", postgresql_where=sa.text("balance > 0"), postgresql_include=["email"]
        ),
        {"comment": "people"},
    )


class Post(Base):
    __tablename__ = "posts"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    title: orm.Mapped[str]
    n: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    twice: orm.Mapped[int] = orm.mapped_column(sa.Integer, sa.Computed("n*2"))
    user: orm.Mapped[User] = orm.relationship(back_populates="posts")
    __table_args__ = (sa.UniqueConstraint("user_id", "title", name="posts_u"),)


def work():
    with orm.Session(engine) as session:
        posts = [Post(title=f"t{i}", n=i) for i in range(5)]
        ann = User(
            name="ann",
            email="a@x",
            balance=decimal.Decimal("12.50"),
            data={"a": [1]},
            tags=["x", "y"],
            posts=posts,
        )
        session.add_all([ann, *(User(name=f"u{i}") for i in range(20))])
        session.commit()
        query = sa.select(User).options(orm.selectinload(User.posts)).where(User.name == "ann")
        ann = session.scalars(query).one()
        assert [post.twice for post in ann.posts] == [0, 2, 4, 6, 8]
        assert ann.balance == decimal.Decimal("12.50") and ann.made.tzinfo is not None

        def count(condition):
            return session.scalar(sa.select(sa.func.count()).select_from(User).where(condition))

        assert count(User.data["a"][0].as_integer() == 1) == 1
        assert count(User.tags.contains(["x"])) == 1
        assert count(User.tags.any("y")) == 1
        upsert = pg.insert(User).values(id=ann.id, name="dup", key=uuid.uuid4())
        upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"name": "dup"})
        assert session.execute(upsert.returning(User.name)).scalars().all() == ["dup"]
        raised = session.execute(
            sa.update(User).where(User.name.like("u%")).values(balance=User.balance + 1)
        )
        assert raised.rowcount == 20
        session.delete(ann)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Post)) == 0


def reflect():
    inspector = sa.inspect(engine)
    assert sorted(inspector.get_table_names()) == ["posts", "users"]
    assert inspector.get_view_names() == ["rich"]
    assert inspector.get_sequence_names() == ["users_id_seq", "posts_id_seq"]
    columns = {column["name"]: column for column in inspector.get_columns("users")}
    types = {name: str(column["type"]) for name, column in columns.items()}
    assert types == {
        "id": "INTEGER",
        "name": "VARCHAR(30)",
        "email": "VARCHAR",
        "balance": "NUMERIC(12, 2)",
        "data": "JSONB",
        "tags": "ARRAY",
        "made": "TIMESTAMP",
        "key": "UUID",
    }, types
    assert columns["id"]["autoincrement"] is True and columns["made"]["type"].timezone
    assert columns["name"]["comment"] == "who" and columns["email"]["nullable"]
    # PostgreSQL prints '0'::numeric; cairn keeps the value that the literal has in the column, which is the
    # same default in other words (and Alembic, which compares values, finds no difference).
    assert columns["balance"]["default"] in ("'0'::numeric", "0.00"), columns["balance"]
    posts = {column["name"]: column for column in inspector.get_columns("posts")}
    assert posts["twice"]["computed"] == {"sqltext": "(n * 2)", "persisted": True}, posts["twice"]
    assert posts["id"]["identity"]["always"] and posts["id"]["identity"]["increment"] == 1
    key = inspector.get_pk_constraint("users")
    assert key["constrained_columns"] == ["id"] and key["name"] == "users_pkey"
    (foreign,) = inspector.get_foreign_keys("posts")
    assert foreign["referred_table"] == "users" and foreign["options"] == {"ondelete": "CASCADE"}
    (unique,) = inspector.get_unique_constraints("posts")
    assert unique["name"] == "posts_u" and unique["column_names"] == ["user_id", "title"]
    (check,) = inspector.get_check_constraints("users")
    assert check["name"] == "users_balance_ok" and check["sqltext"] == "balance >= 0::numeric", check
    indexes = {index["name"]: index for index in inspector.get_indexes("users")}
    assert set(indexes) == {"users_email_key", "users_lower", "users_part"}
    assert indexes["users_lower"]["expressions"] == ["lower(name::text)"]
    options = indexes["users_part"]["dialect_options"]
    assert options["postgresql_where"] == "(balance > (0)::numeric)", options
    assert options["postgresql_include"] == ["email"], options
    assert inspector.get_table_comment("users") == {"text": "people"}
    assert "FROM users" in inspector.get_view_definition("rich")
    assert inspector.get_enums() == []
    metadata = sa.MetaData()
    metadata.reflect(engine, views=True)
    assert sorted(metadata.tables) == ["posts", "rich", "users"]


def autogenerate():
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = compare_metadata(context, Base.metadata)
        assert differences == [], differences
        Base.metadata.tables["posts"].append_column(sa.Column("extra", sa.Text))
        differences = compare_metadata(context, Base.metadata)
        assert [difference[0] for difference in differences] == ["add_column"], differences


Base.metadata.create_all(engine)
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE VIEW rich AS SELECT id, name FROM users WHERE balance > 10")
work()
reflect()
autogenerate()
print("ok")
