use jiff::Timestamp;
use model::ConnectionKey;
use model::import::IdSecret;

use super::Imports;
use crate::StoreError;
use crate::item::{Item, Read, bytes, with};
use crate::table::id_key;

/// The item's name in errors.
const SECRET: &str = "secret";

impl Imports {
    /// The secret that generated ids of a connection's imports are derived with: always the same, made at the first
    /// use.
    ///
    /// # Errors
    /// If it can't be read, or there is none and none can be made.
    pub async fn id_secret(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<IdSecret, StoreError> {
        if let Some(secret) = self.stored_secret(connection, deadline).await? {
            return Ok(secret);
        }
        let random = self.table.random.secret().map_err(|error| StoreError::Document {
            what: "the secret that ids are derived with".to_owned(),
            problem: error.to_string(),
        })?;
        let secret = with(id_key(secret_key(connection)), [("secret", bytes(&random))]);
        let put = self.table.put_request(secret).condition_expression("attribute_not_exists(id)");
        match self.table.write(Some(deadline), put).await? {
            Ok(_) => Ok(IdSecret::new(random)),
            // Another process made one at the same time: that one counts.
            Err(_) => {
                let stored = self.stored_secret(connection, deadline).await?;
                stored.ok_or(StoreError::Corrupt { key: SECRET.to_owned(), attribute: "secret" })
            }
        }
    }

    async fn stored_secret(
        &self,
        connection: &ConnectionKey,
        deadline: Timestamp,
    ) -> Result<Option<IdSecret>, StoreError> {
        let item: Option<Item> = self.table.get_many(vec![secret_key(connection)], &[], deadline).await?.pop();
        let Some(item) = item else { return Ok(None) };
        let stored: Result<[u8; IdSecret::LENGTH], _> = Read::new(SECRET, &item).bytes("secret")?.try_into();
        let random = stored.map_err(|_| StoreError::Corrupt { key: SECRET.to_owned(), attribute: "secret" })?;
        Ok(Some(IdSecret::new(random)))
    }
}

fn secret_key(connection: &ConnectionKey) -> String {
    format!("{connection}#secret")
}
