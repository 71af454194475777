//! How a simulator starts.

use clap::Args;

/// How a simulator starts: the options of `loyalty-simulator`.
///
/// It has no `Debug`, because it holds a password.
#[derive(Args, Clone, PartialEq, Eq)]
pub struct LoyaltySettings {
    /// User that requests must name.
    #[arg(long, default_value_t = Self::default().user_id)]
    pub user_id: String,
    /// Password that requests must carry in the legacy version.
    #[arg(long, default_value_t = Self::default().user_password)]
    pub user_password: String,
    /// Key that requests must carry in version 1.5.
    #[arg(long, default_value_t = Self::default().user_api_key)]
    pub user_api_key: String,
    /// Account that requests must name.
    #[arg(long, default_value_t = Self::default().account_id)]
    pub account_id: String,
    /// A campaign that customers can join; may be given several times.
    #[arg(long = "campaign", value_name = "CAMPAIGN", default_values_t = Self::default().campaigns)]
    pub campaigns: Vec<String>,
    /// Decides every generated code and card number.
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
}

impl Default for LoyaltySettings {
    fn default() -> Self {
        Self {
            user_id: "demo".to_owned(),
            user_password: "demo-password".to_owned(),
            user_api_key: "demo-api-key".to_owned(),
            account_id: "greatwidgets".to_owned(),
            campaigns: vec!["898989889".to_owned(), "13234545".to_owned()],
            seed: 1,
        }
    }
}
