//! One suite over both databases: each story runs on SQLite and on PostgreSQL.

use std::path::Path;

use super::{Address, Sql};
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

/// The mode of a file, without its kind.
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
