//! Readers: `apply` and `local` read their tokens, and store digests of them.

use std::fs;

use serde_json::json;

use crate::support::{Home, PASSWORD, TOKEN, USERNAME};

const RENEWED: &str = "renewed-token-of-acme";

fn reader(tenant: &str, secret: &str) -> String {
    format!("[[reader]]\ntenant = '{tenant}'\ntoken = 'file:{secret}'\n")
}

/// A home with a file of one connection and these readers, which has run.
fn home(readers: &[String]) -> Home {
    let home = Home::empty();
    home.write("intouch.json", &json!({ "username": USERNAME, "password": PASSWORD }).to_string());
    home.write("reader.json", &json!({ "token": TOKEN }).to_string());
    home.write("renewed.json", &json!({ "token": RENEWED }).to_string());
    home.write("connections.toml", &file(readers));
    home.sync().succeeded();
    home
}

fn file(readers: &[String]) -> String {
    format!(
        "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\nclub_ids = ['k-1']\n\
         providers = ['INTOUCH']\ncredentials = 'file:intouch.json'\n{}",
        readers.concat()
    )
}

/// What `apply` says of the file with these readers, twice as a difference and then as it makes it.
fn applied(home: &Home, readers: &[String]) -> String {
    home.write("next.toml", &file(readers));
    let run = |arguments: &str| {
        let said = home.run(&format!("apply next.toml --data data {arguments}")).succeeded();
        said.without([TOKEN.to_owned(), RENEWED.to_owned()]).stdout
    };
    let difference = run("--dry-run");
    assert_eq!(run("--dry-run"), difference, "it changes nothing");
    assert_eq!(run(""), difference);
    assert_eq!(run("--dry-run"), "nothing to change\n");
    difference
}

#[test]
fn a_token_that_is_replaced_shows_as_a_change_until_it_is_applied_and_stands_nowhere() {
    let home = home(&[reader("acme", "reader.json")]);
    assert_eq!(applied(&home, &[reader("acme", "reader.json")]), "nothing to change\n");
    home.write("reader.json", &json!({ "token": RENEWED }).to_string());
    assert_eq!(applied(&home, &[reader("acme", "reader.json")]), "~ acme/reader/file:reader.json (reader)\n");
    for entry in fs::read_dir(home.path("data")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for token in [TOKEN, RENEWED] {
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
        }
    }
}

/// A token that stays is registered at any moment.
#[test]
fn a_token_that_moves_in_the_file_is_not_touched() {
    let [old, new, other] = [reader("acme", "reader.json"), reader("acme", "renewed.json"), reader("b", "b.json")];
    let home = home(std::slice::from_ref(&old));
    home.write("b.json", &json!({ "token": "token-of-b" }).to_string());
    assert_eq!(
        applied(&home, &[old.clone(), new.clone(), other.clone()]),
        "+ acme/reader/file:renewed.json (reader)\n+ b/reader/file:b.json (reader)\n"
    );
    assert_eq!(applied(&home, &[other.clone(), old, new.clone()]), "nothing to change\n");
    assert_eq!(applied(&home, &[new.clone(), other]), "- acme/reader/file:reader.json (reader)\n");
    assert_eq!(applied(&home, &[new]), "- b/reader/file:b.json (reader)\n");
    assert_eq!(applied(&home, &[]), "- acme/reader/file:renewed.json (reader)\n");
}

#[test]
fn a_token_that_can_not_be_read_stops_the_whole_file_before_anything_is_written() {
    let acme = reader("acme", "reader.json");
    let home = home(std::slice::from_ref(&acme));
    home.write("bad.json", "hunter2");
    let readers = [reader("acme", "renewed.json"), reader("b", "none.json"), reader("c", "bad.json")];
    home.write("next.toml", &file(&readers).replace("'k-1'", "'k-2'"));
    let expected = [
        "next.toml: reader 2 (tenant `b`): key `token`: file:none.json: the file can't be read: entity not found",
        "next.toml: reader 3 (tenant `c`): key `token`: file:bad.json: must be a JSON object with \"token\"",
    ];
    for arguments in [
        "apply next.toml --data data",
        "apply next.toml --dry-run --data data",
        "local --connections next.toml --data data --port 0 --once",
        "local --connections next.toml --data other --port 0 --once",
    ] {
        let said = home.run(arguments).without(["hunter2".to_owned()]);
        assert_eq!((said.errors(), said.stdout.as_str()), (expected.to_vec(), ""), "{arguments}");
    }
    assert!(!home.path("other").exists());
    assert_eq!(applied(&home, &[acme]), "nothing to change\n");
}
