//! The database as a whole: made once, known by its id, and left alone if it is not ours to use.

use futures_util::future::join_all;

use super::{Address, databases, mode};
use crate::domain::seal::Sealed;
use crate::service::encryption::canary::CanaryStore as _;
use crate::service::error::StoreError;
use crate::service::installation::{Installation as _, Look};
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

#[tokio::test]
async fn a_database_is_looked_at_without_being_made_or_changed() {
    for database in databases().await {
        let look = async || SqlInstallation::new(database.open()).look().await.unwrap();
        let exists = matches!(database.address, Address::Postgres(_));
        assert_eq!(look().await, Look { exists, ..Look::default() }, "{}", database.name);
        assert_eq!(look().await, Look { exists, ..Look::default() }, "{}: nothing was made", database.name);
        let installation = SqlInstallation::new(database.open());
        let id = installation.id().await.unwrap();
        let canary = installation.set_canary(&Sealed::of_text("a".into())).await.unwrap();
        let seen = look().await;
        assert_eq!((seen.exists, seen.id, seen.canary), (true, Some(id), Some(canary)), "{}", database.name);
        assert_eq!(seen.applied, installation.migrations(), "{}", database.name);
        assert_eq!(installation.look().await.unwrap().applied, seen.applied, "{}: by who has it open", database.name);
    }
}

#[tokio::test]
async fn of_many_who_set_a_canary_one_does_and_of_many_who_replace_it_one_does() {
    for database in databases().await {
        let sealed = |number: usize| Sealed::of_text(format!("canary {number}"));
        assert_eq!(SqlInstallation::new(database.open()).canary().await.unwrap(), None, "{}", database.name);
        let set = join_all((0..8).map(|number| {
            let installation = SqlInstallation::new(database.open());
            async move { installation.set_canary(&sealed(number)).await.unwrap() }
        }));
        let set = set.await;
        assert!(set.iter().all(|canary| *canary == set[0]), "{}: {set:?}", database.name);
        let replaced = join_all((10..18).map(|number| {
            let (installation, old) = (SqlInstallation::new(database.open()), set[0].clone());
            async move { installation.replace_canary(&old, &sealed(number)).await.unwrap() }
        }));
        let replaced = replaced.await;
        assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1, "{}", database.name);
        let winner = replaced.iter().position(|replaced| *replaced).unwrap();
        let found = SqlInstallation::new(database.open()).canary().await.unwrap();
        assert_eq!(found, Some(sealed(10 + winner)), "{}", database.name);
    }
}
