//! What is true of the database as a whole: its id, by which sidecars notice that they do not share one, and the canary,
//! by which they notice that they do not share an encryption key.

use async_trait::async_trait;

use super::{Sql, begin_write, migrations, on_pool};
use crate::domain::seal::Sealed;
use crate::service::encryption::canary::CanaryStore;
use crate::service::error::StoreError;
use crate::service::installation::{Installation, Look};

const INSERT: &str = "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const SELECT: &str = "SELECT value FROM installation WHERE name = $1";
const SELECT_ALL: &str = "SELECT name, value FROM installation";
const REPLACE: &str = "UPDATE installation SET value = $3 WHERE name = $1 AND value = $2";

const ID: &str = "id";
const CANARY: &str = "canary";

/// What is true of this database.
#[derive(Clone)]
pub struct SqlInstallation {
    sql: Sql,
}

impl SqlInstallation {
    /// What is true of this database.
    #[must_use]
    pub fn new(sql: Sql) -> Self {
        Self { sql }
    }

    /// Notes `proposed`, unless something else is noted already; what is.
    async fn note(&self, name: &str, proposed: &str) -> Result<String, StoreError> {
        let pool = self.sql.pool().await?;
        Ok(begin_write!(pool, |transaction| {
            sqlx::query(INSERT).bind(name).bind(proposed).execute(&mut *transaction).await?;
            let (value,): (String,) = sqlx::query_as(SELECT).bind(name).fetch_one(&mut *transaction).await?;
            value
        }))
    }

    async fn noted(&self, name: &str) -> Result<Option<String>, StoreError> {
        let pool = self.sql.pool().await?;
        let row: Option<(String,)> =
            on_pool!(pool, |pool| sqlx::query_as(SELECT).bind(name).fetch_optional(pool).await?);
        Ok(row.map(|(value,)| value))
    }
}

#[async_trait]
impl Installation for SqlInstallation {
    async fn id(&self) -> Result<String, StoreError> {
        self.note(ID, &uuid::Uuid::now_v7().to_string()).await
    }

    async fn look(&self) -> Result<Look, StoreError> {
        let Some(pool) = self.sql.as_it_is().await? else { return Ok(Look::default()) };
        let applied: Result<Vec<(i64,)>, _> =
            on_pool!(&pool, |pool| sqlx::query_as(migrations::APPLIED).fetch_all(pool).await);
        let applied: Vec<i64> = match applied {
            Ok(rows) => rows.into_iter().map(|(version,)| version).collect(),
            Err(error) if migrations::is_no_table(&error) => return Ok(Look { exists: true, ..Look::default() }),
            Err(error) => return Err(error.into()),
        };
        let rows: Vec<(String, String)> = on_pool!(&pool, |pool| sqlx::query_as(SELECT_ALL).fetch_all(pool).await?);
        let noted = |wanted: &str| {
            let row = rows.iter().find(|(name, _)| name == wanted);
            row.map(|(_, value)| value.clone())
        };
        Ok(Look { exists: true, applied, id: noted(ID), canary: noted(CANARY).map(Sealed::of_text) })
    }

    fn migrations(&self) -> Vec<i64> {
        migrations::known()
    }
}

#[async_trait]
impl CanaryStore for SqlInstallation {
    async fn canary(&self) -> Result<Option<Sealed>, StoreError> {
        Ok(self.noted(CANARY).await?.map(Sealed::of_text))
    }

    async fn set_canary(&self, canary: &Sealed) -> Result<Sealed, StoreError> {
        self.note(CANARY, canary.as_text()).await.map(Sealed::of_text)
    }

    async fn replace_canary(&self, old: &Sealed, new: &Sealed) -> Result<bool, StoreError> {
        let pool = self.sql.pool().await?;
        let replaced = on_pool!(pool, |pool| {
            let query = sqlx::query(REPLACE).bind(CANARY).bind(old.as_text()).bind(new.as_text());
            query.execute(pool).await?.rows_affected()
        });
        Ok(replaced > 0)
    }
}
