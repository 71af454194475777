use std::sync::Arc;

use api::{Credential, CredentialList, Lookup};
use config::{BatchImportConfig, Connection};
use model::ConnectionKey;
use serde::Deserialize;
use store::{CredentialDigest, StoreError};
use wire::customers_batch::Access;

use crate::ImportApi;

/// An account that others import into.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) key: ConnectionKey,
    pub(crate) campaigns: Vec<String>,
}

#[derive(Deserialize)]
struct Credentials {
    users: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    user_id: String,
    user_password: String,
}

impl ImportApi {
    /// The account that these credentials open; nothing if they open none, whichever of them is wrong.
    pub(crate) async fn opened(&self, access: &Access, request_id: &str) -> Result<Lookup<Arc<Account>>, StoreError> {
        let presented = digest(&access.account_id, &access.user_id, &access.secret);
        let list = Connection::<BatchImportConfig>::all(&self.tables.registry);
        let read = |connection| self.credentials(connection);
        self.users.open(Some(presented), list, read, || ("POST /api.php".to_owned(), request_id.to_owned())).await
    }

    async fn credentials(
        &self,
        Connection { key, settings }: Connection<BatchImportConfig>,
    ) -> CredentialList<Arc<Account>> {
        let fields = "\"users\": [{\"user_id\", \"user_password\"}]";
        let credentials = match self.secrets.read::<Credentials>(&settings.credentials, fields).await {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::error!(connection = %key, %error, "the users of an account can't be read");
                return CredentialList::unreadable();
            }
        };
        let name = key.to_string();
        let account = Arc::new(Account { key, campaigns: settings.campaigns });
        let credential = |User { user_id, user_password }: User| {
            // As in a request, which loses outer blanks when it is read.
            let (user_id, user_password) = (user_id.trim(), user_password.trim());
            if user_id.is_empty() || user_password.is_empty() {
                tracing::error!(connection = name, "a user without a name or a password: it opens nothing");
                return None;
            }
            let digest = digest(&settings.account_id, user_id, user_password);
            Some(Credential { digest, owner: name.clone(), name: name.clone(), opens: account.clone() })
        };
        CredentialList::complete(credentials.users.into_iter().filter_map(credential))
    }
}

/// The digest of all three: they open the account together.
fn digest(account_id: &str, user_id: &str, secret: &str) -> CredentialDigest {
    CredentialDigest::of_parts(&[account_id.as_bytes(), user_id.as_bytes(), secret.as_bytes()])
}
