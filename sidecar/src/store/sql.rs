//! SQL: what must never expire by itself. SQLite in the data folder, or PostgreSQL, with the same statements: `$1`
//! for parameters, texts for ids, integers for times.
//!
//! The database may be away when the sidecar starts, and come later: nothing that filters need is in it.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::service::error::StoreError;

pub mod audit;
pub mod installation;
mod migrations;
pub mod outbox;

#[cfg(test)]
mod tests;

/// Connections that one sidecar holds at most.
const CONNECTIONS_MAX: u32 = 4;
/// Longest wait for a connection, or for another program's write to a SQLite file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time to connect and to bring the tables up to date, other sidecars' turns included. What is not done by then
/// is tried again.
const OPENING: Duration = Duration::from_secs(30);
/// What PostgreSQL is to end by itself, unless `DATABASE_URL` says otherwise: somebody who was stopped in the middle of a
/// transaction must not hold up the audit of all sidecars for longer, nor one whose network is gone. What takes turns takes
/// milliseconds for each.
const SERVER_LIMITS: [(&str, &str); 6] = [
    ("statement_timeout", "20s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// Which database.
#[derive(Debug, Clone)]
pub enum Address {
    /// A file, which sidecars of one machine may share.
    Sqlite(PathBuf),
    /// A server. The options hold a password.
    Postgres(Box<PgConnectOptions>),
}

/// A database, connected to when it is first needed.
#[derive(Clone)]
pub struct Sql {
    address: Arc<Address>,
    pool: Arc<OnceCell<Pool>>,
}

/// Its connections.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same code on whichever pool there is. The two have no type in common, so it is written once and compiled
/// twice.
macro_rules! on_pool {
    ($pool:expr, |$name:ident| $code:expr) => {
        match $pool {
            $crate::store::sql::Pool::Sqlite($name) => $code,
            $crate::store::sql::Pool::Postgres($name) => $code,
        }
    };
}
pub(super) use on_pool;

/// Runs code in a transaction that writes, and commits it unless the code returns. In SQLite it takes the turn to write
/// at once: a transaction that reads first could be overtaken, and would fail.
macro_rules! begin_write {
    ($pool:expr, |$transaction:ident| $code:expr) => {
        match $pool {
            $crate::store::sql::Pool::Sqlite(pool) => {
                let mut $transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                let done = $code;
                $transaction.commit().await?;
                done
            }
            $crate::store::sql::Pool::Postgres(pool) => {
                let mut $transaction = pool.begin().await?;
                let done = $code;
                $transaction.commit().await?;
                done
            }
        }
    };
}
pub(super) use begin_write;

impl Address {
    /// The database at this URL: `postgres://…`, or `sqlite:` and a path.
    ///
    /// # Errors
    /// It is none. The error never holds the URL, which may hold a password.
    pub fn of_url(url: &str) -> Result<Self, StoreError> {
        let wrong =
            || StoreError::unavailable("DATABASE_URL is neither postgres://user@host/database nor sqlite:/path");
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Sqlite(path.into())) };
        }
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let options = PgConnectOptions::from_str(url).ok().filter(|_| is_postgres);
        options.map(|options| Self::Postgres(Box::new(options))).ok_or_else(wrong)
    }
}

impl Sql {
    /// The database at `address`. Nothing is connected yet.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address: Arc::new(address), pool: Arc::new(OnceCell::new()) }
    }

    /// Connects, and brings the tables up to date, if that was not done before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it can't be reached; [`StoreError::Unusable`] if it is not ours to use: a newer
    /// Sekisho wrote it, or a file is no database.
    pub(super) async fn pool(&self) -> Result<&Pool, StoreError> {
        let opened = async || {
            let opened = timeout(OPENING, open(&self.address)).await;
            opened.unwrap_or_else(|_| Err(StoreError::unavailable("the database does not open in time")))
        };
        self.pool.get_or_try_init(opened).await
    }

    /// The database as it is, to be looked at: nothing is made or changed. None if there is no file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it can't be reached; [`StoreError::Unusable`] if a file is no database.
    pub(super) async fn as_it_is(&self) -> Result<Option<Pool>, StoreError> {
        if let Some(pool) = self.pool.get() {
            return Ok(Some(pool.clone()));
        }
        match &*self.address {
            Address::Sqlite(file) if !file.try_exists().map_err(StoreError::unavailable)? => Ok(None),
            Address::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
                Ok(Some(Pool::Sqlite(sqlite_pool(options).await?)))
            }
            Address::Postgres(options) => Ok(Some(Pool::Postgres(postgres_pool(options).await?))),
        }
    }
}

async fn sqlite_pool(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(PATIENCE);
    Ok(pool.connect_with(options).await?)
}

async fn postgres_pool(options: &PgConnectOptions) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(PATIENCE);
    let said = options.get_options().unwrap_or_default();
    let limits = SERVER_LIMITS.into_iter().filter(|(name, _)| !said.contains(name));
    Ok(pool.connect_with(options.clone().application_name("sekisho").options(limits)).await?)
}

async fn open(address: &Address) -> Result<Pool, StoreError> {
    match address {
        Address::Sqlite(file) => {
            // Reading and writing is its owner's alone: the trail tells who does what.
            let _turn = migrations::take_turn(file).await?;
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                // Readers do not wait for the one who writes, and several programs may share the file.
                .journal_mode(SqliteJournalMode::Wal)
                // What is committed survives a power cut.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(PATIENCE)
                .foreign_keys(true);
            let pool = sqlite_pool(options).await?;
            migrations::run(&pool).await?;
            Ok(Pool::Sqlite(pool))
        }
        Address::Postgres(options) => {
            let pool = postgres_pool(options).await?;
            migrations::run(&pool).await?;
            Ok(Pool::Postgres(pool))
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::corrupt("(row)", error)
            }
            // SQLITE_CORRUPT and SQLITE_NOTADB: waiting makes it no better.
            sqlx::Error::Database(reported) if matches!(reported.code().as_deref(), Some("11" | "26")) => {
                Self::unusable(format_args!("the file is damaged, or no database: {reported}"))
            }
            _ => Self::unavailable(format_args!("the database does not serve: {error}")),
        }
    }
}
