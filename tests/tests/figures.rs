//! The figures of `customer-sync cost` are near what the meter measures now.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use local_aws::{Figures, Work, deployed};
use tests::costs::{Kind, idle_hour, millions, pushes};

/// Whether two numbers are near each other: a figure comes of more customers than are measured here.
fn is_near(measured: f64, figure: f64) -> bool {
    (measured - figure).abs() <= 0.25 * figure.max(0.2)
}

#[track_caller]
fn assert_near(what: &str, measured: Work, figure: Work) {
    let pairs = [
        ("write units", measured.write_units, figure.write_units),
        ("read units", measured.read_units, figure.read_units),
    ];
    for (unit, measured, figure) in pairs {
        let advice = "`cargo run -p tests --bin cost figures` prints infra/local-aws/figures.toml anew";
        assert!(is_near(measured, figure), "{what}, {unit}: {measured:.3}, and the figure is {figure:.3}; {advice}");
    }
}

#[tokio::test]
async fn what_customers_ask_for_is_near_the_figures() {
    let figures = Figures::measured().unwrap();
    let sample = 1_000;
    let (reports, [aa, bc, _feed]) = millions(sample).await;
    let of = |name: &str| {
        let report = &reports.iter().find(|(what, _)| *what == name).unwrap().1;
        Work::of(report, deployed(0).memory_gb).times(1.0 / f64::from(sample))
    };
    for (name, figure) in [
        ("AA, new", figures.association_anywhere.new),
        ("AA, changed", figures.association_anywhere.changed),
        ("AA, unchanged", figures.association_anywhere.unchanged),
        ("BC, new", figures.business_catalyst.new),
        ("BC, unchanged", figures.business_catalyst.unchanged),
    ] {
        assert_near(name, of(name), figure);
    }
    for (name, measured, figure) in
        [("AA", aa, figures.association_anywhere.bytes), ("BC", bc, figures.business_catalyst.bytes)]
    {
        assert!(is_near(measured, figure), "{name}: {measured:.0} bytes, and the figure is {figure:.0}");
    }
}

#[tokio::test]
async fn what_a_change_that_is_sent_asks_for_is_near_the_figures() {
    let figures = Figures::measured().unwrap();
    let sent = pushes("hook", 40, 20).await.1;
    assert_near("to a webhook", Work::of(&sent, deployed(0).memory_gb).times(1.0 / 20.0), figures.to_webhook);
}

#[tokio::test]
async fn an_idle_hour_is_near_the_figures() {
    let figures = Figures::measured().unwrap();
    for (kind, figure) in [
        (Kind::AssociationAnywhere, figures.idle_association_anywhere),
        (Kind::BusinessCatalyst, figures.idle_business_catalyst),
    ] {
        let hour = idle_hour(kind, 1).await;
        assert_near("an idle hour", Work::of(&hour, deployed(0).memory_gb), figure.first);
    }
}
