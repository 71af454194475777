//! `cost`: a month's bill, from figures and prices that come with the program.

use crate::source::{Source, home_with_connection_to};
use crate::support::Home;

/// The last column of a row of the table.
fn dollars(said: &str, row: &str) -> f64 {
    let line = said.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("no {row}: {said}"));
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn a_bill_is_estimated_without_asking_anybody() {
    let home = Home::empty();
    let said = home.run("cost --customers 100000 --changed-per-day 2%").succeeded().stdout;
    let begin = "1 Association Anywhere, 1 Business Catalyst, 0 that push, 0 destinations; 100000 customers, of which 2000 \
                 change a day\nUS dollars a month; us-east-1, prices of 20";
    assert!(said.starts_with(begin), "{said}");
    assert!((8.0..16.0).contains(&dollars(&said, "together")), "{said}");
    assert!(
        said.contains("\nThe first sync of everybody, with sending them on, once: 0.2")
            && said.contains("\nNot in it: "),
        "{said}"
    );
    assert_eq!(home.run("cost --customers 100000 --changed-per-day 2000").succeeded().stdout, said);
    let more = home.run("cost --customers 100000 --changed-per-day 50%").succeeded().stdout;
    assert!(dollars(&more, "together") > dollars(&said, "together") + 2.0, "{more}");
    for wrong in ["cost", "cost --customers 5", "cost --customers 5 --changed-per-day many"] {
        assert_eq!(home.run(wrong).code, Some(2), "{wrong}");
    }
}

#[test]
fn a_bill_is_estimated_for_the_connections_of_a_file() {
    let source = Source::with_customers(0);
    let home = home_with_connection_to(&source, "poll_seconds = 3600");
    let said = home.run("cost --customers 1000 --changed-per-day 1 --connections connections.toml").succeeded().stdout;
    assert!(
        said.starts_with("1 Association Anywhere, 0 Business Catalyst, 0 that push, 0 destinations; 1000 "),
        "{said}"
    );
    assert!(dollars(&said, "together") < 9.0, "it is asked once an hour: {said}");
    home.write("bad.toml", "[[connection]]\nid = 'aa'\n");
    let said = home.run("cost --customers 1 --changed-per-day 1 --connections bad.toml");
    assert!(said.errors()[0].starts_with("bad.toml: connection `aa`: "), "{said:?}");
}
