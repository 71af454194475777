use std::path::{Path, PathBuf};

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use destinations::DestinationHttp;
use lambda::{Clients, Environment, Metrics};
use operations::imports::Undo;
use operations::status::StatusReader;
use sources::SourceHttp;
use store::{Clock, Random, Secrets, TableNames, Tables};
use thiserror::Error;

use local_aws::TEMPLATE;
use local_aws::{EmbeddedDynamoDb, LocalSqs, Template};

use crate::login::{Login, unasked};

/// What a command works on: a deployed stack, or the data of a run on this machine.
pub struct Target {
    /// Its clients.
    pub clients: Clients,
    /// Its tables.
    pub tables: Tables,
    /// Whether secrets must stand in AWS Secrets Manager.
    pub is_stack: bool,
    /// The address of a stack's HTTP API.
    pub api_url: Option<String>,
    /// The directory of a run on this machine; `None` for a stack.
    pub directory: Option<PathBuf>,
    /// The options that name it, with a blank before each: for a command that a person is told to type.
    pub flags: String,
}

/// A target that can't be worked on.
#[derive(Debug, Error)]
pub enum TargetError {
    /// There is no data in the directory.
    #[error("{}: there is no data of a run here; `customer-sync local` makes it", .0.display())]
    NoData(PathBuf),
    /// The data can't be read.
    #[error("{}: {problem}", .path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The stack can't be read.
    #[error("stack {name}: {problem}")]
    Stack {
        /// The stack's name.
        name: String,
        /// Why.
        problem: String,
    },
    /// The HTTP client can't be built.
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// Where a run on this machine keeps its data, unless it is told otherwise.
pub const DIRECTORY: &str = ".customer-sync";
/// The database's file in the directory of a run.
pub(crate) const DATABASE: &str = "dynamodb.sqlite";
/// A file beside it, if somebody was erased since the last run: when the next one ends, the database is written anew.
pub(crate) const ERASED: &str = "erased";

impl Target {
    /// Opens the data of a run on this machine, which may be running or not.
    ///
    /// # Errors
    /// If there is none, or it can't be opened.
    pub async fn directory(path: &Path) -> Result<Self, TargetError> {
        if !path.join(DATABASE).is_file() {
            return Err(TargetError::NoData(path.to_owned()));
        }
        let unreadable = |problem: String| TargetError::Data { path: path.to_owned(), problem };
        let template = Template::parse(TEMPLATE).map_err(|error| unreadable(error.to_string()))?;
        let database = open_database(path, &template).await.map_err(unreadable)?;
        let clock = Clock::system();
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let clients = local_clients(&database, &queues, clock);
        let is_default = path == Path::new(DIRECTORY);
        let flags = if is_default { String::new() } else { format!(" --data {}", path.display()) };
        let tables = local_tables(&clients);
        Ok(Self { tables, clients, is_stack: false, api_url: None, directory: Some(path.to_owned()), flags })
    }

    /// Opens a deployed stack, by its outputs.
    ///
    /// # Errors
    /// If the stack can't be read, or lacks an output of `template.yaml`.
    pub async fn stack(name: &str, login: &Login) -> Result<Self, TargetError> {
        let unreadable = |problem: String| TargetError::Stack { name: name.to_owned(), problem };
        let config = login.config().await.map_err(unreadable)?;
        let answer = aws_sdk_cloudformation::Client::new(&config).describe_stacks().stack_name(name).send().await;
        let answer = answer.map_err(|error| {
            let service = error.as_service_error();
            let message = service.and_then(ProvideErrorMetadata::message).map(str::to_owned);
            unreadable(message.unwrap_or_else(|| format!("CloudFormation {}", unasked(&error))))
        })?;
        let outputs = answer.stacks().first().map(|stack| stack.outputs()).unwrap_or_default();
        let output = |name: &str| {
            let found = outputs.iter().find(|output| output.output_key() == Some(name));
            let value = found.and_then(|output| output.output_value()).map(str::to_owned);
            value.ok_or_else(|| unreadable(format!("has no output {name}: is it a stack of customer-sync?")))
        };
        let names = TableNames {
            control: output("ControlTableName")?,
            shadow: output("ShadowTableName")?,
            imports: output("ImportTableName")?,
            feed: output("FeedTableName")?,
        };
        let clients = Clients::of_config(&config, &Environment::default());
        let tables = Tables::new(clients.dynamodb.clone(), &names, clients.clock.clone(), clients.random.clone());
        Ok(Self {
            tables,
            clients,
            is_stack: true,
            api_url: Some(output("ApiUrl")?),
            directory: None,
            flags: format!(" --stack {name}{}", login.flags()),
        })
    }

    /// How the connections stand.
    pub fn status(&self) -> StatusReader {
        StatusReader::new(&self.tables)
    }

    /// Undoes imports.
    pub fn undo(&self) -> Undo {
        Undo::new(&self.tables)
    }
}

/// The name that the template gives the shadow on this machine.
pub(crate) const SHADOW_TABLE: &str = "ShadowTable";

/// The tables of a run on this machine.
pub(crate) fn local_tables(clients: &Clients) -> Tables {
    let names = TableNames {
        control: "ControlTable".to_owned(),
        shadow: SHADOW_TABLE.to_owned(),
        imports: "ImportTable".to_owned(),
        feed: "FeedTable".to_owned(),
    };
    Tables::new(clients.dynamodb.clone(), &names, clients.clock.clone(), clients.random.clone())
}

/// Opens the database in the directory of a run, with the tables of a template. Those that are there are made known to
/// this process: what it writes reaches their streams.
pub(crate) async fn open_database(directory: &Path, template: &Template) -> Result<EmbeddedDynamoDb, String> {
    let database = EmbeddedDynamoDb::open(&directory.join(DATABASE)).map_err(|error| error.to_string())?;
    for table in &template.tables {
        database.create_table(table).await?;
    }
    Ok(database)
}

/// Clients of DynamoDB and SQS in this process.
pub(crate) fn local_clients(database: &EmbeddedDynamoDb, queues: &LocalSqs, clock: Clock) -> Clients {
    Clients {
        dynamodb: database.client(),
        sqs: queues.client(),
        secrets: Secrets::new(None, clock.clone()),
        http: SourceHttp::new(clock.clone()),
        destinations: DestinationHttp::new(clock.clone()),
        clock,
        random: Random::from_entropy(),
        metrics: Metrics::off(),
    }
}
