use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use model::ConnectionKey;
use runtime::connections::{BatchImport, Connection};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{Clock, Directory, Secrets, StoreError};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use wire::customers_batch::Access;

/// How long the accounts are used before they are read again: a withdrawn user is shut out soon after.
const FRESH: Duration = Duration::from_secs(60);

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
    clock: Clock,
    known: Mutex<Option<(Timestamp, Arc<Vec<KnownUser>>)>>,
}

struct KnownUser {
    digest: [u8; 32],
    account: Arc<Account>,
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
        Self { directory, secrets, clock, known: Mutex::new(None) }
    }

    /// The account that these credentials open; `None` where they open none, whatever of them is wrong.
    pub(crate) async fn opened_by(&self, access: &Access) -> Result<Option<Arc<Account>>, StoreError> {
        let users = self.users().await?;
        // Every user of every account is compared, in constant time: how long it takes says nothing about any of them.
        let digest = digest(&access.account_id, &access.user_id, &access.secret);
        let mut position = u64::MAX;
        for (number, user) in (0..).zip(users.iter()) {
            let equal: Choice = user.digest.ct_eq(&digest);
            position.conditional_assign(&number, equal);
        }
        let user = usize::try_from(position).ok().and_then(|position| users.get(position));
        Ok(user.map(|user| user.account.clone()))
    }

    async fn users(&self) -> Result<Arc<Vec<KnownUser>>, StoreError> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, users)) = known
            && now < read_at + FRESH
        {
            return Ok(users);
        }
        let mut users = Vec::new();
        for Connection { key, settings } in Connection::<BatchImport>::all(&self.directory).await? {
            let fields = "\"users\": [{\"user_id\", \"user_password\"}]";
            let credentials = match self.secrets.read::<Credentials>(&settings.credentials, fields).await {
                Ok(credentials) => credentials,
                Err(error) => {
                    tracing::error!(connection = %key, %error, "the users of an account can't be read");
                    continue;
                }
            };
            let account = Arc::new(Account { key, campaigns: settings.campaigns });
            for User { user_id, user_password } in credentials.users {
                // As what is sent is read, for a form has no outer blanks.
                let (user_id, user_password) = (user_id.trim(), user_password.trim());
                if user_id.is_empty() || user_password.is_empty() {
                    tracing::error!(connection = %account.key, "a user without a name or a password: it opens nothing");
                    continue;
                }
                let digest = digest(settings.account_id.trim(), user_id, user_password);
                users.push(KnownUser { digest, account: account.clone() });
            }
        }
        let users = Arc::new(users);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, users.clone()));
        Ok(users)
    }
}

/// Of all three, each with its length: no two triples are the same bytes.
fn digest(account_id: &str, user_id: &str, secret: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [account_id, user_id, secret] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}
