//! One suite over both databases: each story runs on SQLite and on PostgreSQL.

use std::path::Path;

use super::audit::SqlTrail;
use super::{Address, Sql};
use crate::service::audit::trail::Trail as _;
use crate::test_postgres;

mod audit;
mod installation;
mod outbox;

/// A database of each kind, each new and empty.
async fn databases() -> Vec<Database> {
    let folder = tempfile::tempdir().unwrap();
    let file = Address::Sqlite(folder.path().join("data/sekisho.db"));
    let server = Address::Postgres(Box::new(test_postgres::database().await));
    vec![
        Database { name: "SQLite", address: file, _folder: Some(folder) },
        Database { name: "PostgreSQL", address: server, _folder: None },
    ]
}

/// A database of a test.
struct Database {
    name: &'static str,
    address: Address,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// As one sidecar opens it; each call is another sidecar.
    fn open(&self) -> Sql {
        Sql::new(self.address.clone())
    }

    /// Runs a statement that no sidecar would.
    async fn tamper(&self, statement: &'static str) {
        let sql = self.open();
        let pool = sql.pool().await.unwrap();
        super::on_pool!(pool, |pool| sqlx::query(statement).execute(pool).await.map(drop).unwrap());
    }
}

#[tokio::test]
async fn postgres_ends_what_holds_everybody_up_unless_its_address_says_otherwise() {
    let server = test_postgres::database().await;
    let own = server.clone().options([("lock_timeout", "7s")]);
    for (options, lock) in [(server, "5s"), (own, "7s")] {
        let sql = Sql::new(Address::Postgres(Box::new(options)));
        let super::Pool::Postgres(pool) = sql.pool().await.unwrap() else { panic!("not PostgreSQL") };
        for (name, expected) in
            [("statement_timeout", "20s"), ("lock_timeout", lock), ("idle_in_transaction_session_timeout", "10s")]
        {
            let show = sqlx::AssertSqlSafe(format!("SHOW {name}"));
            let (said,): (String,) = sqlx::query_as(show).fetch_one(pool).await.unwrap();
            assert_eq!(said, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn somebody_who_stops_while_it_is_their_turn_to_append_makes_the_others_fail_and_not_wait_for_ever() {
    let database = databases().await.remove(1);
    let (stopped, other) = (database.open(), SqlTrail::new(database.open()));
    other.append(&[]).await.unwrap();
    let super::Pool::Postgres(pool) = stopped.pool().await.unwrap() else { panic!("not PostgreSQL") };
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("UPDATE audit_chain SET seq = seq WHERE name = 'head'").execute(&mut *transaction).await.unwrap();
    let refused = tokio::time::timeout(std::time::Duration::from_secs(9), other.append(&[])).await.expect("an answer");
    assert!(refused.is_err_and(|error| error.to_string().contains("lock timeout")));
    transaction.rollback().await.unwrap();
    other.append(&[]).await.unwrap();
}

/// The mode of a file, without its kind.
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
