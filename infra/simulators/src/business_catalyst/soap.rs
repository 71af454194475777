//! SOAP 1.1 and 1.2: envelopes in, envelopes and faults out.

use axum::http::StatusCode;

use super::types::{NAMESPACE, Operation};
use crate::{
    server::Document,
    xml::{self, Element, partial_escape},
};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Alone it is one of the forms of "no contacts".
pub(super) const UNABLE_TO_PROCESS: &str = "Server was unable to process request.";

/// Which SOAP a request speaks; its answer speaks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SoapVersion {
    V11,
    V12,
}

/// Which side caused a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    Client,
    Server,
    VersionMismatch,
}

impl SoapVersion {
    /// By the media type of a request, in lower case; `None` if it is no SOAP.
    pub(super) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "text/xml" => Some(Self::V11),
            "application/soap+xml" => Some(Self::V12),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// A document with this in its body.
    pub(super) fn envelope(self, body: &str) -> String {
        let namespace = self.namespace();
        format!(
            "<soap:Envelope xmlns:soap=\"{namespace}\" xmlns:xsi=\"{XSI}\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><soap:Body>{body}</soap:Body></soap:Envelope>"
        )
    }

    /// An answer of an operation that was carried out.
    pub(super) fn answer(self, body: &str) -> Document {
        self.document(StatusCode::OK, body)
    }

    /// A fault.
    pub(super) fn fault(self, blame: Blame, text: &str) -> Document {
        let code = match (self, blame) {
            (_, Blame::VersionMismatch) => "VersionMismatch",
            (Self::V11, Blame::Client) => "Client",
            (Self::V11, Blame::Server) => "Server",
            (Self::V12, Blame::Client) => "Sender",
            (Self::V12, Blame::Server) => "Receiver",
        };
        let text = partial_escape(text);
        let content = match self {
            Self::V11 => {
                format!("<faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring><detail />")
            }
            Self::V12 => format!(
                "<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>\
                 <soap:Reason><soap:Text xml:lang=\"en\">{text}</soap:Text></soap:Reason><soap:Detail />"
            ),
        };
        self.document(StatusCode::INTERNAL_SERVER_ERROR, &format!("<soap:Fault>{content}</soap:Fault>"))
    }

    fn document(self, status: StatusCode, body: &str) -> Document {
        let text = format!("{DECLARATION}{}", self.envelope(body));
        Document { status, content_type: self.content_type(), text }
    }

    /// What the service says when it failed on a request: the source marks its own refusals with `ERROR:`.
    pub(super) fn error(self, text: &str) -> Document {
        self.fault(Blame::Server, &format!("{UNABLE_TO_PROCESS} ---> ERROR: {text}"))
    }

    /// What the service answers to a request that it can't read.
    pub(super) fn unreadable(self, reason: &str) -> Document {
        let text = format!("Server was unable to read request. ---> There is an error in XML document: {reason}");
        self.fault(Blame::Client, &text)
    }

    /// The operation in a request, and its element.
    pub(super) fn read(self, document: &[u8], soap_action: Option<&str>) -> Result<(Operation, Element), Document> {
        let document = std::str::from_utf8(document).map_err(|error| self.unreadable(&error.to_string()))?;
        let envelope =
            xml::parse(document.trim_start_matches('\u{feff}')).map_err(|reason| self.unreadable(&reason))?;
        if envelope.name != "Envelope" || envelope.namespace != self.namespace() {
            let text = format!(
                "Possible SOAP version mismatch: Envelope namespace {} was unexpected. Expecting {}.",
                envelope.namespace,
                self.namespace()
            );
            return Err(self.fault(Blame::VersionMismatch, &text));
        }
        let is_body = |child: &Element| child.name == "Body" && child.namespace == self.namespace();
        let body = envelope.children.into_iter().find(is_body).ok_or_else(|| self.unreadable("there is no Body"))?;
        let element = body.children.into_iter().next().ok_or_else(|| self.unreadable("the Body is empty"))?;
        let operation = Operation::ALL
            .into_iter()
            .find(|operation| element.namespace == NAMESPACE && element.name == operation.name())
            .ok_or_else(|| self.unreadable(&format!("<{}> is no operation of this service", element.name)))?;
        // SOAP 1.1 requests carry a header that names the operation too, quoted as a rule.
        let soap_action = soap_action.unwrap_or_default();
        let expected = format!("{NAMESPACE}/{}", operation.name());
        if self == Self::V11 && soap_action.trim().trim_matches('"') != expected {
            let text = format!("Server did not recognize the value of HTTP Header SOAPAction: {soap_action}.");
            return Err(self.fault(Blame::Client, &text));
        }
        Ok((operation, element))
    }
}
