//! What a call meets on its way to AWS and back, where a simulation interferes.

use std::fmt::Debug;

use futures::future::BoxFuture;

/// An answer of AWS: HTTP status and JSON body.
pub type Answer = (u16, String);

/// A call of a function.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `DynamoDB`, `SQS` or `Secrets Manager`.
    pub service: &'static str,
    /// The operation, such as `PutItem`.
    pub operation: &'a str,
    /// The JSON body of the request.
    pub body: &'a [u8],
}

/// Delays calls, and answers in AWS's place. A call that is dropped meanwhile is one whose caller died.
pub trait Interference: Send + Sync + Debug {
    /// Before a request is carried out. An answer takes its place: it is not carried out.
    fn before<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Option<Answer>>;

    /// After a request was carried out, with its true answer. Another answer takes its place: it is lost.
    fn after<'a>(&'a self, call: Call<'a>, answer: &'a Answer) -> BoxFuture<'a, Option<Answer>>;
}
