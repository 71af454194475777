//! What an answer looks like when it meets a fault.

use axum::response::{IntoResponse, Response};

use super::{
    answers::{Answer, Format, WRONG_CREDENTIALS},
    types::{Fault, LoyaltyFault},
};
use crate::{server::Document, xml::entity_bomb};

/// The answer of a fault with which the batch is not imported; `None` for the others.
pub(super) fn instead_of_answer(fault: &Fault, format: Format) -> Option<Response> {
    let error = |message: &str| Some(format.write(&Answer::Error(message.to_owned())).into_response());
    match fault {
        // Whatever the client asked for: only XML can hold it.
        Fault::Doctype => Some(Document::ok(Format::Xml.content_type(), bomb()).into_response()),
        Fault::WrongCredentials => error(WRONG_CREDENTIALS),
        Fault::Own(LoyaltyFault::ErrorAnswer(message)) => error(message),
        common => common.instead_of_answer(format.content_type(), bomb),
    }
}

/// An answer with a count that grows without bounds when expanded.
fn bomb() -> String {
    entity_bomb(
        "<response status=\"success\"><batch status=\"imported\"><customers><new>&laugh10;</new>\
         <updated>0</updated></customers></batch></response>",
    )
}

/// What the answer to an imported batch says, as the fault leaves it.
pub(super) fn misstate(fault: Option<&Fault>, answer: &mut Answer) {
    let Answer::Imported { imported, account } = answer else { return };
    match fault {
        Some(Fault::Own(LoyaltyFault::UnescapedAmpersand)) => *account = Some("Smith & Sons"),
        Some(Fault::Own(LoyaltyFault::WrongCounts(difference))) => {
            let size = difference.unsigned_abs();
            if *difference >= 0 {
                imported.new = imported.new.saturating_add(size);
            } else {
                let of_new = size.min(imported.new);
                imported.new -= of_new;
                imported.updated = imported.updated.saturating_sub(size - of_new);
            }
        }
        _ => {}
    }
}
