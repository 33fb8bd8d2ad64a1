// SPDX-License-Identifier: Apache-2.0
//! Steps of tokio-postgres: pipelined requests, statements, portals, COPY, notifications, cancel.

use std::env::var;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::{unbounded, UnboundedReceiver};
use futures::{pin_mut, stream, SinkExt, StreamExt, TryStreamExt};
use openssl::ssl::{SslConnector, SslMethod};
use postgres_openssl::MakeTlsConnector;
use serde_json::{json, Map, Value};
use tokio_postgres::{AsyncMessage, Client, Config, Error, SimpleQueryMessage};

type Told = Result<Value, Error>;

struct Outcomes(Map<String, Value>);

impl Outcomes {
    async fn step(&mut self, name: &str, work: impl Future<Output = Told>) {
        let told = work.await.unwrap_or_else(|error| match error.as_db_error() {
            Some(db) => json!([
                db.severity(),
                db.code().code(),
                db.message(),
                db.detail(),
                format!("{:?}", db.position()),
                db.where_()
            ]),
            None => json!(["error", error.to_string()]),
        });
        self.0.insert(name.to_owned(), told);
    }
}

fn tls() -> MakeTlsConnector {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_ca_file(var("PGSSLROOTCERT").unwrap()).unwrap();
    MakeTlsConnector::new(builder.build())
}

async fn connect() -> (Client, UnboundedReceiver<AsyncMessage>) {
    let mut config = Config::new();
    config
        .host(&var("PGHOST").unwrap())
        .port(var("PGPORT").unwrap().parse().unwrap())
        .user(&var("PGUSER").unwrap())
        .password(var("PGPASSWORD").unwrap())
        .dbname(&var("PGDATABASE").unwrap());
    let (client, mut connection) = config.connect(tls()).await.unwrap();
    let (sender, receiver) = unbounded();
    let messages = stream::poll_fn(move |context| connection.poll_message(context));
    tokio::spawn(async move {
        pin_mut!(messages);
        while let Some(Ok(message)) = messages.next().await {
            let _ = sender.unbounded_send(message);
        }
    });
    (client, receiver)
}

async fn numbers(c: &Client, text: &str, sent: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> Told {
    let rows = c.query(text, sent).await?;
    Ok(json!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()))
}

async fn simple(c: &Client, text: &str) -> Told {
    let messages = c.simple_query(text).await?;
    let told = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(json!(row.get(0))),
        SimpleQueryMessage::CommandComplete(count) => Some(json!(count)),
        _ => None,
    });
    Ok(told.collect())
}

async fn transaction(c: &mut Client) -> Told {
    let mut outer = c.transaction().await?;
    outer.batch_execute("CREATE TABLE kept (a int)").await?;
    let inner = outer.savepoint("s").await?;
    let failed = inner.batch_execute("SELECT 1/0").await.is_err();
    inner.rollback().await?;
    let statement = outer.prepare("SELECT generate_series(1, 50)").await?;
    let portal = outer.bind(&statement, &[]).await?;
    let first = outer.query_portal(&portal, 20).await?.len();
    let rest = outer.query_portal(&portal, 0).await?.len();
    outer.commit().await?;
    Ok(json!([failed, first, rest]))
}

async fn copy(c: &Client) -> Told {
    c.batch_execute("CREATE TEMP TABLE copied (id int, note text)").await?;
    let sink = c.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?;
    pin_mut!(sink);
    for number in 0..2000 {
        sink.send(Bytes::from(format!("{number}\tnote {number}\n"))).await?;
    }
    let count = sink.finish().await?;
    let out = c.copy_out("COPY (SELECT * FROM copied LIMIT 3) TO STDOUT").await?;
    let chunks: Vec<Bytes> = out.try_collect().await?;
    Ok(json!([count, String::from_utf8(chunks.concat()).unwrap()]))
}

async fn copy_that_fails(c: &Client) -> Told {
    let sink = c.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?;
    pin_mut!(sink);
    sink.send(Bytes::from("x\ty\n")).await?;
    Ok(json!(sink.finish().await?))
}

async fn pipelined(c: &Client) -> Told {
    let all = (0..20_i32).map(|n| async move { numbers(c, "SELECT $1::int * 2", &[&n]).await });
    Ok(json!(futures::future::try_join_all(all).await?))
}

async fn cancelled(c: &Client) -> Told {
    let token = c.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let _ = token.cancel_query(tls()).await;
    });
    simple(c, "SELECT pg_sleep(10)").await
}

async fn heard(messages: &mut UnboundedReceiver<AsyncMessage>) -> Told {
    let mut told = Vec::new();
    while told.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(5), messages.next()).await;
        match next.ok().flatten() {
            Some(AsyncMessage::Notice(notice)) => told.push(json!([notice.severity(), notice.message()])),
            Some(AsyncMessage::Notification(n)) => told.push(json!([n.channel(), n.payload()])),
            _ => break,
        }
    }
    Ok(json!(told))
}

#[tokio::main]
async fn main() {
    let (mut c, mut messages) = connect().await;
    let mut outcomes = Outcomes(Map::new());
    outcomes.step("select", numbers(&c, "SELECT 1", &[])).await;
    outcomes.step("several", simple(&c, "SELECT 1; SELECT 2")).await;
    outcomes.step("empty", simple(&c, "")).await;
    outcomes.step("json", async { Ok(c.query_one("SELECT $1::jsonb", &[&json!({"a": [1]})]).await?.get(0)) }).await;
    outcomes.step("pipelined", pipelined(&c)).await;
    outcomes.step("transaction", transaction(&mut c)).await;
    outcomes.step("copy", copy(&c)).await;
    outcomes.step("copy that fails", copy_that_fails(&c)).await;
    let words = "LISTEN drivers; DO $$ BEGIN RAISE NOTICE 'one'; END $$; NOTIFY drivers, 'word'";
    outcomes.step("asynchronous", simple(&c, words)).await;
    outcomes.step("heard", heard(&mut messages)).await;
    outcomes.step("types of the user", async {
        c.batch_execute("CREATE TYPE mood AS ENUM ('good', 'bad')").await?;
        let statement = c.prepare("SELECT 'good'::mood, ARRAY['bad']::mood[]").await?;
        Ok(json!(statement.columns().iter().map(|column| column.type_().to_string()).collect::<Vec<_>>()))
    }).await;
    outcomes.step("syntax error", numbers(&c, "SELECT 1 FRM x", &[])).await;
    outcomes.step("no table", numbers(&c, "SELECT a FROM nowhere WHERE a = $1", &[&1_i32])).await;
    outcomes.step("division", numbers(&c, "SELECT 1 / $1::int", &[&0_i32])).await;
    outcomes.step("large", numbers(&c, "SELECT length($1)", &[&"x".repeat(2_000_000)])).await;
    outcomes.step("cancelled", cancelled(&c)).await;
    outcomes.step("terminated", simple(&c, "SELECT pg_terminate_backend(pg_backend_pid())")).await;
    println!("{}", Value::Object(outcomes.0));
}
