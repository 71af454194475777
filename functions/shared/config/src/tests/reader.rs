use store::{Clock, CredentialDigest, Secrets};
use tempfile::TempDir;

use super::*;

/// As the release before reads a reader's document.
#[derive(Debug, PartialEq, Deserialize)]
struct ReaderOfTheReleaseBefore {
    tenant: String,
    token: SecretReference,
    #[serde(default)]
    scope: Scope,
}

/// As the release before writes it.
const DOCUMENT_OF_THE_RELEASE_BEFORE: &str =
    r#"{"tenant":"acme","token":"secretsmanager:customer-sync/reader","scope":"operate"}"#;

fn secrets() -> Secrets {
    Secrets::new(None, Clock::system())
}

/// A file with a reader of `acme` for each of these secrets, and the directory that they are in.
fn with_secrets(texts: &[&str]) -> (Configuration, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let readers = texts.iter().zip(1..).map(|(text, number)| {
        let path = directory.path().join(format!("{number}.json"));
        std::fs::write(&path, text).unwrap();
        format!("[[reader]]\ntenant = 'acme'\ntoken = 'file:{}'\n", path.display())
    });
    (read(&format!("{MINIMAL}{}", readers.collect::<String>())), directory)
}

async fn problems_of(texts: &[&str], deployment: Deployment) -> Vec<String> {
    let (mut configuration, directory) = with_secrets(texts);
    let problems = configuration.digest_tokens(&secrets(), deployment).await.err();
    let problems = problems.map_or_else(Vec::new, |Problems(problems)| problems);
    problems.iter().map(|problem| problem.replace(&directory.path().display().to_string(), "DIR")).collect()
}

#[tokio::test]
async fn the_store_keeps_the_digest_of_a_token_beside_its_reference() {
    let (mut configuration, directory) = with_secrets(&[r#"{"token":" abc\n"}"#]);
    configuration.digest_tokens(&secrets(), Deployment::Local).await.unwrap();
    let registration = configuration.to_registrations().remove(1);
    // `printf abc | sha256sum`
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        registration.document.replace(&directory.path().display().to_string(), "DIR"),
        format!(r#"{{"tenant":"acme","token":"file:DIR/1.json","scope":"read","token_sha256":"{digest}"}}"#)
    );
    let reader = Reader::from_registration(&registration).unwrap();
    assert_eq!(reader, configuration.readers[0]);
    // Its secret is not read again.
    drop(directory);
    assert_eq!(reader.digest(&secrets()).await.unwrap(), CredentialDigest::of(b"abc"));
}

#[tokio::test]
async fn every_token_that_can_not_be_used_is_named_with_its_reader_and_none_is_told() {
    let texts = [r#"{"token":"fine"}"#, r#"{"token":" "}"#, r#"{"token":"hunter 2"}"#, r#"{"tok":"hunter2"}"#];
    let (mut configuration, directory) = with_secrets(&texts);
    std::fs::remove_file(directory.path().join("1.json")).unwrap();
    let Problems(problems) = configuration.digest_tokens(&secrets(), Deployment::Local).await.unwrap_err();
    let found: Vec<String> =
        problems.iter().map(|problem| problem.replace(&directory.path().display().to_string(), "DIR")).collect();
    let unusable = "the token is empty, or has a character that no header can carry";
    assert_eq!(
        found,
        [
            "reader 1 (tenant `acme`): key `token`: file:DIR/1.json: the file can't be read: entity not found"
                .to_owned(),
            format!("reader 2 (tenant `acme`): key `token`: file:DIR/2.json: {unusable}"),
            format!("reader 3 (tenant `acme`): key `token`: file:DIR/3.json: {unusable}"),
            "reader 4 (tenant `acme`): key `token`: file:DIR/4.json: must be a JSON object with \"token\"".to_owned(),
        ]
    );
}

/// What could be guessed could be found from its digest.
#[tokio::test]
async fn a_stack_takes_no_token_of_fewer_than_sixteen_characters() {
    let texts = [r#"{"token":"0123456789abcde"}"#, r#"{"token":"0123456789abcdef"}"#];
    let short = "reader 1 (tenant `acme`): key `token`: file:DIR/1.json: the token must have at least 16 characters";
    let found = problems_of(&texts, Deployment::Stack).await;
    assert!(found.len() == 1 && found[0].starts_with(short), "{found:?}");
    assert_eq!(problems_of(&texts, Deployment::Local).await, [""; 0]);
}

/// Two releases run side by side (invariant 11).
#[test]
fn a_reader_of_the_release_before_is_read_and_has_no_digest() {
    let registration = Registration {
        key: ConnectionKey::new("acme", "reader/secretsmanager:customer-sync/reader"),
        kind: super::super::READER.to_owned(),
        document: DOCUMENT_OF_THE_RELEASE_BEFORE.to_owned(),
    };
    let reader = Reader::from_registration(&registration).unwrap();
    assert_eq!((reader.scope, &reader.token_sha256), (Scope::Operate, &None));
    assert_eq!(reader.to_registration(), registration);
}

/// Likewise.
#[test]
fn a_reader_with_a_digest_can_be_read_by_the_release_before() {
    let before: ReaderOfTheReleaseBefore = serde_json::from_str(DOCUMENT_OF_THE_RELEASE_BEFORE).unwrap();
    let ReaderOfTheReleaseBefore { tenant, token, scope } = before;
    let digest = Some(CredentialDigest::of(b"abc"));
    let reader = Reader { tenant: tenant.clone(), token: token.clone(), scope, token_sha256: digest };
    let document = reader.to_registration().document;
    assert!(document.contains("token_sha256"), "{document}");
    let read: ReaderOfTheReleaseBefore = serde_json::from_str(&document).unwrap();
    assert_eq!(read, ReaderOfTheReleaseBefore { tenant, token, scope });
}
