use std::hint::black_box;

use config::{Configuration, Deployment, problem_of};
use model::ConnectionKey;
use store::Registration;

use crate::{Target, budget};

/// The file of an operator.
pub(super) const CONNECTIONS: Target = Target {
    peak: budget::PEAK_OF_TOML,
    name: "connections",
    read: |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let _ = black_box(Configuration::parse_usable(text, Deployment::Stack));
        }
    },
    holds: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        for deployment in [Deployment::Stack, Deployment::Local] {
            match Configuration::parse(text, deployment) {
                Ok(configuration) => {
                    for registration in configuration.to_registrations() {
                        let problem = problem_of(&registration);
                        assert!(problem.is_none(), "what is registered can't be read: {problem:?}");
                    }
                }
                Err(problems) => assert!(!problems.0.is_empty(), "refused without a reason"),
            }
        }
    },
};

/// A connection as it is stored. The first line is its kind.
pub(super) const REGISTRATION: Target = Target {
    peak: budget::PEAK,
    name: "registration",
    read: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (kind, document) = text.split_once('\n').unwrap_or((text, ""));
        let key = ConnectionKey::new("acme", "one");
        let _ = black_box(problem_of(&Registration { key, kind: kind.to_owned(), document: document.to_owned() }));
    },
    holds: super::nothing_else,
};
