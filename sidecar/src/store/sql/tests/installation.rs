//! The database as a whole: made once, known by its id, and left alone if it is not ours to use.

use futures_util::future::join_all;

use super::{Address, databases, mode};
use crate::service::error::StoreError;
use crate::service::installation::Installation as _;
use crate::store::sql::installation::SqlInstallation;

#[tokio::test]
async fn however_many_sidecars_start_at_once_the_tables_are_made_once_and_all_see_one_id() {
    for database in databases().await {
        let ids = join_all((0..8).map(|_| {
            let installation = SqlInstallation::new(database.open());
            async move { installation.id().await }
        }));
        let ids: Vec<String> = ids.await.into_iter().map(|id| id.unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{}: {ids:?}", database.name);
        let again = SqlInstallation::new(database.open()).id().await.unwrap();
        assert_eq!(again, ids[0], "{}", database.name);
    }
}

#[tokio::test]
async fn a_database_that_a_newer_sekisho_changed_is_refused_with_words() {
    for database in databases().await {
        SqlInstallation::new(database.open()).id().await.unwrap();
        database
            .tamper(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9999, 'of the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
            )
            .await;
        let refused = SqlInstallation::new(database.open()).id().await.unwrap_err();
        let StoreError::Unusable { .. } = refused else { panic!("{}: {refused:?}", database.name) };
        let text = refused.to_string();
        assert!(text.contains("newer Sekisho") && text.contains("9999"), "{}: {text}", database.name);
    }
}

#[tokio::test]
async fn a_sqlite_file_is_its_owners_alone() {
    for database in databases().await {
        SqlInstallation::new(database.open()).id().await.unwrap();
        if let Address::Sqlite(file) = &database.address {
            assert_eq!(mode(file.parent().unwrap()), 0o700);
            for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
                let path = entry.unwrap().path();
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
}
