//! How a simulator starts.

use clap::Args;

/// How a simulator starts: options of `aa-simulator`.
///
/// It has no `Debug`, because it holds a password.
#[derive(Args, Clone, PartialEq, Eq)]
pub struct AaSettings {
    /// How many customers there are, with ids from 1001
    #[arg(long, default_value_t = Self::default().customers)]
    pub customers: u64,
    /// The id of the first customer.
    #[arg(skip = Self::default().first_id)]
    pub first_id: u64,
    /// Decides every name, date and random choice
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// User name that requests must carry
    #[arg(long, default_value_t = Self::default().username)]
    pub username: String,
    /// Password that requests must carry
    #[arg(long, default_value_t = Self::default().password)]
    pub password: String,
    /// Whether every customer stands in the queue at the start, as after a force enqueue of all.
    #[arg(skip = Self::default().all_queued)]
    pub all_queued: bool,
}

impl Default for AaSettings {
    fn default() -> Self {
        Self {
            customers: 1000,
            first_id: 1001,
            seed: 1,
            username: "demo".to_owned(),
            password: "demo-password".to_owned(),
            all_queued: true,
        }
    }
}
