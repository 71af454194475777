use std::path::{Path, PathBuf};

use aws_config::BehaviorVersion;
use lambda::{Clients, Environment, Metrics};
use operations::imports::{ImportLease, Undo};
use operations::status::StatusReader;
use sources::SourceHttp;
use sources::association_anywhere::AssociationAnywhere;
use store::{
    Clock, ConnectionRegistry, ConnectionStates, Failures, Imports, Ledger, Random, Secrets, Shadow, SourceLimiter,
};
use thiserror::Error;

use local_aws::TEMPLATE;
use local_aws::{EmbeddedDynamoDb, LocalSqs, Template};

/// What a command works on: a deployed stack, or the data of a run on this machine.
pub struct Target {
    /// The ways out.
    pub clients: Clients,
    /// The name of the control table.
    pub control_table: String,
    /// The name of the shadow table.
    pub shadow_table: String,
    /// The name of the import table.
    pub import_table: String,
    /// Whether secrets must stand in AWS Secrets Manager.
    pub is_stack: bool,
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

/// The database's file in the directory of a run.
pub(crate) const DATABASE: &str = "dynamodb.sqlite";

impl Target {
    /// The data of a run on this machine, which may be running or not.
    ///
    /// # Errors
    /// Where there is none, or it can't be opened.
    pub fn directory(path: &Path) -> Result<Self, TargetError> {
        let file = path.join(DATABASE);
        if !file.is_file() {
            return Err(TargetError::NoData(path.to_owned()));
        }
        let unreadable = |problem: String| TargetError::Data { path: path.to_owned(), problem };
        let database = EmbeddedDynamoDb::open(&file).map_err(|error| unreadable(error.to_string()))?;
        let template = Template::parse(TEMPLATE).map_err(|error| unreadable(error.to_string()))?;
        let clock = Clock::system();
        let queues = LocalSqs::new(&template.queues, clock.clone());
        Ok(Self {
            clients: local_clients(&database, &queues, clock)?,
            control_table: "ControlTable".to_owned(),
            shadow_table: "ShadowTable".to_owned(),
            import_table: "ImportTable".to_owned(),
            is_stack: false,
        })
    }

    /// A deployed stack, by its outputs.
    ///
    /// # Errors
    /// Where the stack can't be read, or has not the outputs of ours.
    pub async fn stack(name: &str) -> Result<Self, TargetError> {
        let unreadable = |problem: String| TargetError::Stack { name: name.to_owned(), problem };
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let answer = aws_sdk_cloudformation::Client::new(&config).describe_stacks().stack_name(name).send().await;
        let answer = answer.map_err(|error| {
            use aws_sdk_cloudformation::error::ProvideErrorMetadata;
            let service = error.as_service_error();
            let message = service.and_then(ProvideErrorMetadata::message).map(str::to_owned);
            unreadable(message.unwrap_or_else(|| "CloudFormation could not be reached".to_owned()))
        })?;
        let outputs = answer.stacks().first().map(|stack| stack.outputs()).unwrap_or_default();
        let table = |name: &str| {
            let output = outputs.iter().find(|output| output.output_key() == Some(name));
            let value = output.and_then(|output| output.output_value()).map(str::to_owned);
            value.ok_or_else(|| unreadable(format!("has no output {name}: is it a stack of customer-sync?")))
        };
        Ok(Self {
            clients: Clients::of_aws(&Environment::default()).await?,
            control_table: table("ControlTableName")?,
            shadow_table: table("ShadowTableName")?,
            import_table: table("ImportTableName")?,
            is_stack: true,
        })
    }

    /// What is configured.
    pub fn directory_of_connections(&self) -> ConnectionRegistry {
        ConnectionRegistry::new(self.clients.dynamodb.clone(), &self.control_table)
    }

    /// The failure records.
    pub fn failures(&self) -> Failures {
        Failures::new(self.clients.dynamodb.clone(), &self.control_table)
    }

    /// The states' state.
    pub fn states(&self) -> ConnectionStates {
        ConnectionStates::new(self.clients.dynamodb.clone(), &self.control_table)
    }

    /// How the connections stand.
    pub fn status(&self) -> StatusReader {
        let Clients { dynamodb, clock, random, .. } = &self.clients;
        StatusReader::new(
            self.directory_of_connections(),
            Ledger::new(dynamodb.clone(), &self.control_table, clock.clone(), random.clone()),
            self.states(),
            self.failures(),
        )
    }

    /// The batch imports.
    pub fn imports(&self) -> Imports {
        let Clients { dynamodb, clock, random, .. } = &self.clients;
        Imports::new(dynamodb.clone(), &self.import_table, clock.clone(), random.clone())
    }

    /// What takes imports back.
    pub fn undo(&self) -> Undo {
        let Clients { dynamodb, clock, random, .. } = &self.clients;
        let states = ConnectionStates::new(dynamodb.clone(), &self.control_table);
        let shadow = Shadow::new(dynamodb.clone(), &self.shadow_table, clock.clone(), random.clone());
        Undo::new(shadow, self.imports(), ImportLease::new(states, clock.clone(), random.clone()), clock.clone())
    }

    /// The client of Association Anywhere.
    pub fn association_anywhere(&self) -> AssociationAnywhere {
        let Clients { dynamodb, clock, random, http, secrets, .. } = &self.clients;
        let limiter = SourceLimiter::new(dynamodb.clone(), &self.control_table, clock.clone(), random.clone());
        AssociationAnywhere::new(http.clone(), secrets.clone(), limiter, clock.clone())
    }
}

/// Clients whose AWS is in this process.
pub(crate) fn local_clients(
    database: &EmbeddedDynamoDb,
    queues: &LocalSqs,
    clock: Clock,
) -> Result<Clients, reqwest::Error> {
    Ok(Clients {
        dynamodb: database.client(),
        sqs: queues.client(),
        secrets: Secrets::new(None, clock.clone()),
        http: SourceHttp::new(clock.clone())?,
        clock,
        random: Random::from_entropy(),
        metrics: Metrics::off(),
    })
}
