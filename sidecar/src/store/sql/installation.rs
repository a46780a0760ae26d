//! What is true of the database as a whole: its id, by which sidecars notice that they do not share one.

use async_trait::async_trait;

use super::{Sql, begin_write};
use crate::service::error::StoreError;
use crate::service::installation::Installation;

const INSERT: &str = "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const SELECT: &str = "SELECT value FROM installation WHERE name = $1";

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
}

#[async_trait]
impl Installation for SqlInstallation {
    async fn id(&self) -> Result<String, StoreError> {
        let proposed = uuid::Uuid::now_v7().to_string();
        let pool = self.sql.pool().await?;
        Ok(begin_write!(pool, |transaction| {
            sqlx::query(INSERT).bind("id").bind(&proposed).execute(&mut *transaction).await?;
            let (id,): (String,) = sqlx::query_as(SELECT).bind("id").fetch_one(&mut *transaction).await?;
            id
        }))
    }
}
