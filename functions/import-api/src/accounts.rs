use std::sync::Arc;

use model::ConnectionKey;
use runtime::connections::{BatchImport, Connection};
use runtime::{Door, Doors, DoorsRead, Fingerprint, Opened};
use serde::Deserialize;
use store::{Clock, Directory, Secrets, StoreError};
use wire::customers_batch::Access;

/// An account that others import into.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) key: ConnectionKey,
    pub(crate) campaigns: Vec<String>,
}

/// Who may import into what.
pub(crate) struct Accounts {
    directory: Directory,
    secrets: Secrets,
    users: Doors<Arc<Account>>,
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

impl Accounts {
    pub(crate) fn new(directory: Directory, secrets: Secrets, clock: Clock) -> Self {
        Self { directory, secrets, users: Doors::new(clock) }
    }

    /// The account that these credentials open; nothing where they open none, whatever of them is wrong.
    pub(crate) async fn opened_by(&self, access: &Access) -> Result<Opened<Arc<Account>>, StoreError> {
        let presented = fingerprint(&access.account_id, &access.user_id, &access.secret);
        let list = Connection::<BatchImport>::all(&self.directory);
        self.users.opened_by(&presented, list, |connection| self.doors(connection)).await
    }

    async fn doors(&self, Connection { key, settings }: Connection<BatchImport>) -> DoorsRead<Arc<Account>> {
        let fields = "\"users\": [{\"user_id\", \"user_password\"}]";
        let credentials = match self.secrets.read::<Credentials>(&settings.credentials, fields).await {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::error!(connection = %key, %error, "the users of an account can't be read");
                return DoorsRead::unreadable();
            }
        };
        let name = key.to_string();
        let account = Arc::new(Account { key, campaigns: settings.campaigns });
        let door = |User { user_id, user_password }: User| {
            // As in a request, which loses outer blanks when it is read.
            let (user_id, user_password) = (user_id.trim(), user_password.trim());
            if user_id.is_empty() || user_password.is_empty() {
                tracing::error!(connection = name, "a user without a name or a password: it opens nothing");
                return None;
            }
            let fingerprint = fingerprint(&settings.account_id, user_id, user_password);
            Some(Door { fingerprint, owner: name.clone(), name: name.clone(), opens: account.clone() })
        };
        DoorsRead::complete(credentials.users.into_iter().filter_map(door))
    }
}

/// Of all three: they open the account together.
fn fingerprint(account_id: &str, user_id: &str, secret: &str) -> Fingerprint {
    Fingerprint::of_parts(&[account_id.as_bytes(), user_id.as_bytes(), secret.as_bytes()])
}
