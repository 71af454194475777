use std::collections::{BTreeMap, BTreeSet};

use model::ConnectionKey;
use store::Registration;
use toml::{Table, Value};

use super::problems::{Deployment, Notes, Problems};
use super::table_reader::TableReader;
use super::{
    AssociationAnywhereConfig, BatchImportConfig, BusinessCatalystConfig, Configuration, Connection, ConnectionKind,
    ConnectorConfig, Destination, Reader, Scope, Settings, Site, association_anywhere, batch_import, business_catalyst,
    connector, destination,
};

/// The result of reading a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedFile {
    /// What can be used.
    pub configuration: Configuration,
    /// The connections that are left out, and why.
    pub left_out: Vec<String>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

impl Configuration {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every problem, each with the connection and the key.
    pub fn parse(text: &str, deployment: Deployment) -> Result<Self, Problems> {
        let ParsedFile { configuration, left_out, .. } = Self::parse_usable(text, deployment)?;
        if left_out.is_empty() { Ok(configuration) } else { Err(Problems(left_out)) }
    }

    /// Reads the text of a file, and leaves out connections whose only problem is a secret in one of their URLs: a run
    /// on one machine continues without them.
    ///
    /// # Errors
    /// Every problem, each with the connection and the key; the left-out connections included.
    pub fn parse_usable(text: &str, deployment: Deployment) -> Result<ParsedFile, Problems> {
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| Problems(vec![syntax_problem(text, &error)]))?;
        let mut file = FileReader::of(deployment);
        let (problems, notes) = (&mut file.problems, &mut file.notes);
        let mut root = TableReader { name: "the file".to_owned(), table, deployment, problems, notes };
        let connections = root.tables("connection");
        let destinations = root.tables("destination");
        let readers = root.tables("reader");
        root.no_others();
        // A connection that is left out is one all the same, to a destination that gets its customers.
        let declared = connections.iter().filter_map(named).collect();
        file.connections(connections);
        file.destinations(destinations, &declared);
        file.readers(readers);
        file.finish()
    }
}

/// A file, as far as it is read.
struct FileReader {
    deployment: Deployment,
    problems: Vec<String>,
    notes: Notes,
    configuration: Configuration,
    /// The ids of connections and destinations.
    ids: BTreeSet<String>,
}

impl FileReader {
    fn of(deployment: Deployment) -> Self {
        let (problems, notes, configuration, ids) = Default::default();
        Self { deployment, problems, notes, configuration, ids }
    }

    fn connections(&mut self, tables: Vec<Table>) {
        let Self { deployment, problems, notes, configuration, ids } = self;
        let mut accounts = BTreeSet::new();
        let mut queues = BTreeSet::new();
        let mut senders = BTreeMap::new();
        for (number, table) in (1..).zip(tables) {
            let mut fields = TableReader::of_entry("connection", number, table, *deployment, problems, notes);
            let id = fields.written_id();
            let connection = read_connection(&mut fields);
            fields.no_others();
            if id.is_some_and(|id| !ids.insert(id)) {
                fields.problem("id", "is used twice");
            }
            if account_of(connection.as_ref()).is_some_and(|account| !accounts.insert(account)) {
                fields.problem("account_id", "is used twice");
            }
            if queue_of(connection.as_ref()).is_some_and(|queue| !queues.insert(queue)) {
                let problem = "is the queue of another connection, with the same credentials: each would purge what \
                               the other has not read";
                fields.problem("queue_url", problem);
            }
            if let Some((tenant, credentials)) = sender_of(connection.as_ref())
                && *senders.entry(credentials).or_insert_with(|| tenant.clone()) != tenant
            {
                fields.problem("credentials", "are those of another tenant's Connector too");
            }
            configuration.connections.extend(connection);
        }
    }

    /// `declared` are tenants and ids of all connections.
    fn destinations(&mut self, tables: Vec<Table>, declared: &BTreeSet<(String, String)>) {
        let Self { deployment, problems, notes, configuration, ids } = self;
        let mut receivers = BTreeSet::new();
        for (number, table) in (1..).zip(tables) {
            let mut fields = TableReader::of_entry("destination", number, table, *deployment, problems, notes);
            let id = fields.written_id();
            let destination = destination::read(&mut fields);
            fields.no_others();
            if id.is_some_and(|id| !ids.insert(id)) {
                fields.problem("id", "is used twice");
            }
            if let Some(destination) = &destination {
                check_from(destination, declared, &configuration.connections, &mut fields);
                if !receivers.insert((destination.key.tenant.clone(), destination.settings.receiver.canonical())) {
                    let key = if destination.settings.receiver.site().is_some() { "endpoint" } else { "url" };
                    fields.problem(key, "is that of another destination too, which would send everything twice");
                }
            }
            configuration.destinations.extend(destination);
        }
    }

    fn readers(&mut self, tables: Vec<Table>) {
        let Self { deployment, problems, notes, configuration, .. } = self;
        let mut tokens = BTreeSet::new();
        for (number, table) in (1..).zip(tables) {
            let mut fields = TableReader::of_entry("reader", number, table, *deployment, problems, notes);
            let reader = read_reader(&mut fields);
            fields.no_others();
            if reader.as_ref().is_some_and(|reader| !tokens.insert(reader.token.to_string())) {
                problems.push(format!("reader {number}: key `token`: is that of another reader too"));
            }
            configuration.readers.extend(reader);
        }
    }

    fn finish(self) -> Result<ParsedFile, Problems> {
        let Self { mut problems, notes: Notes { refusals: left_out, warnings }, configuration, .. } = self;
        if configuration.connections.is_empty() && problems.is_empty() && left_out.is_empty() {
            problems.push("the file: holds no `[[connection]]`".to_owned());
        }
        if problems.is_empty() {
            return Ok(ParsedFile { configuration, left_out, warnings });
        }
        problems.extend(left_out);
        Err(Problems(problems))
    }
}

/// The tenant and the id that a table says.
fn named(table: &Table) -> Option<(String, String)> {
    let text = |key| table.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("tenant")?, text("id")?))
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or(String::new(), |line| format!(", line {line}"));
    format!("the file{place}: is not TOML: {}", error.message())
}

fn read_connection(fields: &mut TableReader<'_>) -> Option<Registration> {
    let id = fields.id("id");
    let tenant = fields.id("tenant");
    let kind = fields.text("kind", true);
    let key = id.zip(tenant).map(|(id, tenant)| ConnectionKey::new(tenant, id));
    // If the kind is missing, the keys of the most usual one are checked.
    let kind = kind.as_deref().map_or(Some(ConnectionKind::AssociationAnywhere), ConnectionKind::from_name);
    match kind {
        Some(ConnectionKind::AssociationAnywhere) => registration(key, association_anywhere::read(fields)),
        Some(ConnectionKind::BusinessCatalyst) => registration(key, business_catalyst::read(fields)),
        Some(ConnectionKind::Connector) => registration(key, connector::read(fields)),
        Some(ConnectionKind::BatchImport) => registration(key, batch_import::read(fields)),
        None => {
            let kinds = ConnectionKind::ALL.map(|kind| format!("\"{}\"", kind.name())).join(" or ");
            fields.problem("kind", &format!("must be {kinds}"));
            // Keys of an unknown kind can't be checked.
            fields.table.clear();
            None
        }
    }
}

fn registration<S: Settings>(key: Option<ConnectionKey>, settings: Option<S>) -> Option<Registration> {
    Some(Connection { key: key?, settings: settings? }.to_registration())
}

/// The connection in a registration, if it is of this kind.
fn connection_of<S: Settings>(registration: Option<&Registration>) -> Option<Connection<S>> {
    let registration = registration.filter(|registration| registration.kind == S::KIND.name())?;
    Connection::from_registration(registration).ok()
}

/// The account that other systems import into by this connection, if any. It alone decides which connection is meant.
fn account_of(registration: Option<&Registration>) -> Option<String> {
    Some(connection_of::<BatchImportConfig>(registration)?.settings.account_id)
}

/// The address of the queue that a connection reads and purges, if any, and the reference to its login.
fn queue_of(registration: Option<&Registration>) -> Option<(String, String)> {
    let settings = connection_of::<AssociationAnywhereConfig>(registration)?.settings;
    let login = settings.queue_credentials.unwrap_or(settings.credentials);
    Some((settings.queue_url, login.to_string()))
}

/// The tenant whose Connector pushes through this connection, if any, and the reference to its credentials. Several
/// connections of one tenant may share them.
fn sender_of(registration: Option<&Registration>) -> Option<(String, String)> {
    let connection = connection_of::<ConnectorConfig>(registration)?;
    Some((connection.key.tenant, connection.settings.credentials.to_string()))
}

/// Checks that a destination gets customers of its own tenant, and warns if none of a connection will be sent.
fn check_from(
    destination: &Destination,
    declared: &BTreeSet<(String, String)>,
    connections: &[Registration],
    fields: &mut TableReader<'_>,
) {
    for from in &destination.settings.from {
        if !declared.contains(&(destination.key.tenant.clone(), from.clone())) {
            fields.problem("from", &format!("`{from}` is no connection of the tenant"));
        }
        let site = site_of(connections.iter().find(|connection| connection.key.connection == *from));
        if let (Some(site), Some(own)) = (site, destination.settings.receiver.site())
            && site.id == own.id
        {
            let warning = match site == own {
                true => "is the same site: its own customers are not sent back to it",
                false => {
                    "has the same `site_id` at another `endpoint`: if it is the same site, give both the same one, or \
                     its own customers are sent back to it"
                }
            };
            fields.notes.warnings.push(format!("{}: key `from`: `{from}` {warning}", fields.name));
        }
    }
}

/// The site whose contacts a connection lists, if any.
fn site_of(registration: Option<&Registration>) -> Option<Site> {
    let settings = connection_of::<BusinessCatalystConfig>(registration)?.settings;
    Some(Site::of(&settings.endpoint, settings.site_id))
}

fn read_reader(fields: &mut TableReader<'_>) -> Option<Reader> {
    let tenant = fields.id("tenant");
    let token = fields.secret("token", true);
    let scope = fields.choice("scope", &[("read", Scope::Read), ("operate", Scope::Operate)]);
    Some(Reader { tenant: tenant?, token: token?, scope: scope.unwrap_or(Scope::Read), token_sha256: None })
}
