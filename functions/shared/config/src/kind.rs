use serde::Serialize;
use utoipa::ToSchema;

/// A kind of connection: a system and one of its interfaces.
// A fifth kind begins here; the compiler names the places that have to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionKind {
    /// Association Anywhere's change queue.
    AssociationAnywhere,
    /// Business Catalyst's contact lists.
    BusinessCatalyst,
    /// The InTouch Connector's pushes.
    Connector,
    /// Batch imports in the Sticky Street dialect.
    BatchImport,
}

impl ConnectionKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::AssociationAnywhere, Self::BusinessCatalyst, Self::Connector, Self::BatchImport];

    /// Its name in the file and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AssociationAnywhere => "association-anywhere",
            Self::BusinessCatalyst => "business-catalyst",
            Self::Connector => "connector",
            Self::BatchImport => "batch-import",
        }
    }

    /// The kind of this name; `None` for a name that this release does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether systems of this kind push to us. Such a connection is never polled, and has no batches: what is
    /// acknowledged is stored.
    pub const fn is_push(self) -> bool {
        match self {
            Self::AssociationAnywhere | Self::BusinessCatalyst => false,
            Self::Connector | Self::BatchImport => true,
        }
    }
}
