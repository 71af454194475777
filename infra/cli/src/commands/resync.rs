use anyhow::{Result, anyhow};
use config::DESTINATION;
use operations::resync::{Requested, ResyncError, ResyncWhat, Resyncs};

use crate::Target;

/// Has the poller ask for one customer, or all, again, or carry out the withheld deletions. Has a destination sent one
/// customer, or all, again.
///
/// # Errors
/// If there is no such connection or destination, or its kind can't do it.
pub async fn resync(target: &Target, connection: &str, what: &ResyncWhat) -> Result<()> {
    let found = super::system(target, connection).await?;
    let requested = Resyncs::new(&target.tables).request(&found, what, target.clients.clock.now()).await;
    let requested = requested.map_err(|error| match error {
        ResyncError::OneContact => anyhow!("connection `{connection}`: {error}; leave out --customer"),
        _ if found.kind == DESTINATION => anyhow!("destination `{connection}`: {error}"),
        _ => anyhow!("connection `{connection}`: {error}"),
    })?;
    let said = match requested {
        Requested::Enqueue => "every customer is put into the source's queue with the next poll".to_owned(),
        Requested::List => "every contact is listed again with the next poll".to_owned(),
        Requested::Fetch(id) => format!("customer {id} is fetched again with the next batch"),
        Requested::Deletes(withheld) => {
            format!("{withheld} deletions that wait are carried out with the next poll, if still gone")
        }
        Requested::Send => "every customer is sent again, from within a minute on".to_owned(),
        Requested::SendOne(id) => format!("customer {id} is sent again within a minute"),
    };
    println!("{}: {said}", found.key.connection);
    Ok(())
}
