use std::fmt;

/// Which connection of which tenant: the first part of every key in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// The tenant's id: `a-z 0-9 -`, at most 40 characters.
    pub tenant: String,
    /// The connection's id: `a-z 0-9 -`, at most 40 characters, unique in a deployment.
    pub connection: String,
}

impl ConnectionKey {
    /// A key from its two parts, which the configuration has checked.
    pub fn new(tenant: impl Into<String>, connection: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), connection: connection.into() }
    }
}

/// `tenant/connection`: neither part can hold a slash.
impl fmt::Display for ConnectionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.tenant, self.connection)
    }
}
