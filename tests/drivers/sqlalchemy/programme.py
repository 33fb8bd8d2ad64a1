# SPDX-License-Identifier: Apache-2.0
"""Steps of SQLAlchemy: a pool, reflection of the catalogue, the ORM, returning, savepoints, server-side cursors."""

import json

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

OUTCOMES = {}


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    facts: orm.Mapped[dict] = orm.mapped_column(postgresql.JSONB, default=dict)
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


def step(name, work):
    try:
        OUTCOMES[name] = work()
    except sa.exc.DBAPIError as error:
        OUTCOMES[name] = [type(error).__name__, error.orig.sqlstate, str(error.orig)]


def store(engine):
    with orm.Session(engine) as session:
        session.add_all([Author(name=f"a{n}", facts={"n": n}, books=[Book(title=f"b{n}")]) for n in range(200)])
        session.commit()
        return session.scalar(sa.select(sa.func.count()).select_from(Book))


def change(engine):
    with orm.Session(engine) as session:
        author = session.scalars(sa.select(Author).where(Author.facts["n"].as_integer() == 7)).one()
        author.books.append(Book(title="more"))
        session.delete(session.scalars(sa.select(Author).where(Author.name == "a8")).one())
        session.commit()
        return [book.title for book in author.books]


def clash(engine):
    with orm.Session(engine) as session:
        session.add(Author(name="a1"))
        session.commit()


def savepoint(engine):
    with engine.begin() as c:
        try:
            with c.begin_nested():
                c.execute(sa.text("SELECT 1/0"))
        except sa.exc.DBAPIError:
            pass
        return c.scalar(sa.text("SELECT 'alive'"))


def reflect(engine):
    found = sa.inspect(engine)
    columns = [[c["name"], str(c["type"]), c["nullable"]] for c in found.get_columns("author")]
    return [found.get_table_names(), columns, found.get_foreign_keys("book"), found.get_unique_constraints("author")]


def upsert(engine):
    statement = postgresql.insert(Author).values(name="a1", facts={"n": 0})
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"facts": statement.excluded.facts})
    with engine.begin() as c:
        return [list(row) for row in c.execute(statement.returning(Author.name, Author.facts))]


def stream(engine):
    with engine.connect().execution_options(stream_results=True, max_row_buffer=50) as c:
        return sum(row[0] for row in c.execute(sa.text("SELECT generate_series(1, 1000)")))


def isolation(engine):
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        return c.scalar(sa.text("SHOW transaction_isolation"))


def main():
    engine = sa.create_engine("postgresql+psycopg://", pool_size=3)
    step("create", lambda: Base.metadata.create_all(engine))
    step("store", lambda: store(engine))
    step("change", lambda: change(engine))
    step("clash", lambda: clash(engine))
    step("savepoint", lambda: savepoint(engine))
    step("reflect", lambda: reflect(engine))
    step("upsert", lambda: upsert(engine))
    step("stream", lambda: stream(engine))
    step("isolation", lambda: isolation(engine))
    step("drop", lambda: Base.metadata.drop_all(engine))
    print(json.dumps(OUTCOMES, default=str))


main()
