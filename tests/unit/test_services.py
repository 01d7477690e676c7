import smtplib
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

GREETING = "こんにちは, 🌍"
greetings = sa.Table("greetings", sa.MetaData(), sa.Column("text", sa.String(64)))


@pytest.mark.parametrize("database", ["postgresql_database", "mariadb_database"])
def test_database_keeps_text(database, request):
    engine = sa.create_engine(request.getfixturevalue(database))
    with engine.begin() as connection:
        greetings.create(connection)
        connection.execute(greetings.insert().values(text=GREETING))
    with engine.connect() as connection:
        assert connection.scalars(sa.select(greetings.c.text)).all() == [GREETING]
    engine.dispose()


@pytest.mark.parametrize("database", ["postgresql_database", "mariadb_database"])
def test_each_test_gets_an_empty_database(database, request):
    engine = sa.create_engine(request.getfixturevalue(database))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_smtp_server_shows_what_it_received(smtp_server):
    message = EmailMessage()
    message["From"] = "pipeline@example.org"
    message["To"] = "team@example.org"
    message["Subject"] = "run finished"
    message.set_content(GREETING)
    with smtplib.SMTP(smtp_server.host, smtp_server.port) as client:
        client.send_message(message)
    (received,) = smtp_server.messages
    assert received["Subject"] == "run finished"
    assert received.get_content().strip() == GREETING
