//! The tables, brought up to date when the database is opened. However many sidecars start at once, one does it: PostgreSQL has a
//! lock for that; for SQLite a file beside the database's is locked.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Acquire, SqlSafeStr as _};

use crate::service::error::StoreError;

/// Every migration there ever was, in order. Never change one that was released.
const ALL: [(i64, &str, &str); 3] = [
    (1, "audit", include_str!("../../../migrations/0001_audit.sql")),
    (2, "outbox", include_str!("../../../migrations/0002_outbox.sql")),
    (3, "outbox turn", include_str!("../../../migrations/0003_outbox_turn.sql")),
];

/// The migrations that were run, in order.
pub(super) const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

/// Whether a statement failed because no migration ever made its table.
pub(super) fn is_no_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(reported) = error else { return false };
    // PostgreSQL has a code for it (undefined_table), SQLite only words.
    reported.code().as_deref() == Some("42P01") || reported.message().starts_with("no such table")
}

/// The versions of all migrations that this Sekisho knows.
pub(super) fn known() -> Vec<i64> {
    ALL.iter().map(|(version, ..)| *version).collect()
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(ALL.map(migration).into())
}

/// Runs those that were not run yet.
///
/// # Errors
/// [`StoreError::Unusable`] if a newer Sekisho ran others; [`StoreError::Unavailable`].
pub(super) async fn run<'a, A>(pool: A) -> Result<(), StoreError>
where
    A: Acquire<'a>,
    <A::Connection as std::ops::Deref>::Target: Migrate,
{
    migrator().run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => StoreError::unusable(format_args!(
            "a newer Sekisho has changed it (migration {version}); this one knows {}: run the newer one, or restore a \
             backup of before the upgrade",
            ALL.len()
        )),
        MigrateError::VersionMismatch(version) => {
            StoreError::unusable(format_args!("its migration {version} is not the one that this Sekisho knows"))
        }
        error => {
            StoreError::unavailable(format_args!("the database's tables could not be brought up to date: {error}"))
        }
    })
}

/// The turn to bring a SQLite file up to date, until it is dropped. Makes the folder, readable by its owner alone.
///
/// # Errors
/// The folder can't be made or written to.
pub(super) async fn take_turn(file: &Path) -> Result<File, StoreError> {
    let file = file.to_owned();
    let locked = tokio::task::spawn_blocking(move || lock(&file)).await.map_err(StoreError::unavailable)?;
    locked.map_err(|error| {
        let message = format!("the data folder (SEKISHO_DATA_DIR) can't be used: {error}");
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::ReadOnlyFilesystem => {
                StoreError::unusable(message)
            }
            _ => StoreError::unavailable(message),
        }
    })
}

fn lock(file: &Path) -> std::io::Result<File> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let private = |path: &Path| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    private(file)?;
    let turn = private(&file.with_extension("lock"))?;
    turn.lock()?;
    Ok(turn)
}
